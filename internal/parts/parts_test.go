package parts_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestMain(m *testing.M) {
	queue.SilenceRedis()
	m.Run()
}

func TestClusterReplacesAPrimaryThatDied(t *testing.T) {
	c := parts.Cluster(t)
	o, err := redis.ParseClusterURL(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ClusterStateReloadInterval = 100 * time.Millisecond // after a failover the library looks for the new primary no sooner
	rdb := redis.NewClusterClient(o)
	t.Cleanup(func() { rdb.Close() })
	const key = "{seamtag:default}:log"
	first := c.Primary(key)
	if err := rdb.Set(t.Context(), key, "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	parts.Await(t, "replicated", time.Minute, func() bool { n, _ := first.Client().Wait(t.Context(), 1, time.Second).Result(); return n == 1 })
	first.Kill()
	parts.Await(t, "another serves the key", time.Minute, func() bool {
		value, err := rdb.Get(t.Context(), key).Result()
		return err == nil && value == "kept" && c.Primary(key) != first
	})
	first.Start()
}

func TestSentinelReplacesAPrimaryThatDied(t *testing.T) {
	s := parts.Sentinel(t)
	o, err := redis.ParseFailoverURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewFailoverClient(o)
	t.Cleanup(func() { rdb.Close() })
	first := s.Primary()
	if err := rdb.Set(t.Context(), "key", "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	parts.Await(t, "replicated", time.Minute, func() bool { n, _ := first.Client().Wait(t.Context(), 2, time.Second).Result(); return n == 2 })
	first.Kill()
	parts.Await(t, "another is the primary", time.Minute, func() bool {
		value, err := rdb.Get(t.Context(), "key").Result()
		return err == nil && value == "kept" && s.Primary() != first
	})
	first.Start()
}

func TestTheClockOfARedisIsStepped(t *testing.T) {
	s, step := parts.RedisWithClock(t)
	rdb := s.Client()
	for _, offset := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		step(offset)
		at, err := rdb.Time(t.Context()).Result()
		if off := at.Sub(time.Now().Add(offset)).Abs(); err != nil || off > time.Minute {
			t.Errorf("stepped by %s: %s off, %v", offset, off, err)
		}
	}
}

func TestAProxyIsSlowOrCut(t *testing.T) {
	s := parts.Redis(t)
	p := parts.NewProxy(t, s.Addr())
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	ping := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return rdb.Ping(ctx).Err()
	}
	if err := ping(time.Minute); err != nil {
		t.Fatal(err)
	}
	p.Delay(100 * time.Millisecond)
	if start := time.Now(); ping(time.Minute) != nil || time.Since(start) < 100*time.Millisecond {
		t.Errorf("a slow answer came after %s", time.Since(start))
	}
	p.Delay(0)
	p.Cut()
	if err := ping(50 * time.Millisecond); err == nil {
		t.Error("answered through a cut network")
	}
	p.Heal()
	p.Reset()
	parts.Await(t, "answers again", time.Minute, func() bool { return ping(time.Second) == nil })
}
