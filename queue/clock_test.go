package queue_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestAClockSetBackStopsNothing(t *testing.T) {
	r, step := parts.RedisWithClock(t)
	rdb := r.Client()
	q := open(t, r)
	p := publisher(t, q)
	left := publish(t, p, message(1)) // by a worker that died
	if err := rdb.XGroupCreate(t.Context(), "{seamtag:default}:log", "workers", "0").Err(); err != nil {
		t.Fatal(err)
	}
	read := &redis.XReadGroupArgs{Group: "workers", Consumer: "dead", Streams: []string{"{seamtag:default}:log", ">"}, Count: 1}
	if err := rdb.XReadGroup(t.Context(), read).Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Set(t.Context(), "{seamtag:default}:lock:account_1", "dead#1", 3*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	waits := publish(t, p, message(2))
	var stepped atomic.Bool
	o := quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
		if !stepped.Load() {
			return queue.Outcome{}, queue.After(2*time.Second, "not_yet", errors.New("not yet"))
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	})
	o.Lease = 3 * time.Second
	consume(t, q, o)
	awaitStatus(t, q, waits, queue.Retrying)
	await(t, "a sweep heard the server's clock", func() bool {
		stats, err := rdb.Info(t.Context(), "commandstats").Result()
		return err == nil && strings.Contains(stats, "cmdstat_xautoclaim:")
	})
	step(-10 * time.Minute)
	stepped.Store(true)
	awaitStatus(t, q, waits, queue.Tagged)
	awaitStatus(t, q, left, queue.Tagged)
}
