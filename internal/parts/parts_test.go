package parts_test

import (
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
