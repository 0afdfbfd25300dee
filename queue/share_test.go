package queue_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// crowd is a worker whose every slot is taken by an entry that came now, with more behind them, until release.
type crowd struct {
	rdb     *redis.Client
	q       *queue.Queue
	special string // an entry that none of them is
	release func()
}

// newCrowd publishes the special entry, lets something happen to it, and crowds the worker.
func newCrowd(t *testing.T, happen func(*crowd, queue.ConsumerOptions)) *crowd {
	t.Helper()
	r := parts.Redis(t)
	c := &crowd{rdb: r.Client(), q: open(t, r)}
	p := publisher(t, c.q)
	c.special = publish(t, p, message(1))
	free, busy := make(chan struct{}), make(chan struct{}, 100)
	c.release = func() { close(free) }
	o := quick(func(ctx context.Context, d *queue.Delivery) (queue.Outcome, error) {
		if d.ID != "msg_1" {
			busy <- struct{}{}
			select {
			case <-free:
			case <-ctx.Done():
				return queue.Outcome{}, ctx.Err()
			}
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	})
	o.Concurrency = 4
	happen(c, o)
	for n := range 2 * o.Concurrency {
		publish(t, p, message(100+n))
	}
	o.Lease = 300 * time.Millisecond
	consume(t, c.q, o)
	for range o.Concurrency {
		<-busy
	}
	return c
}

func TestWhatADeadWorkerLeftIsTakenWithNoSlotFree(t *testing.T) {
	c := newCrowd(t, func(c *crowd, _ queue.ConsumerOptions) {
		if err := c.rdb.XGroupCreate(t.Context(), "{seamtag:default}:log", "workers", "0").Err(); err != nil {
			t.Fatal(err)
		}
		read := &redis.XReadGroupArgs{Group: "workers", Consumer: "dead", Streams: []string{"{seamtag:default}:log", ">"}, Count: 1}
		if err := c.rdb.XReadGroup(t.Context(), read).Err(); err != nil {
			t.Fatal(err)
		}
	})
	await(t, "it is claimed", func() bool {
		dead := &redis.XPendingExtArgs{Stream: "{seamtag:default}:log", Group: "workers", Start: "-", End: "+", Count: 10, Consumer: "dead"}
		left, err := c.rdb.XPendingExt(t.Context(), dead).Result()
		return err == nil && len(left) == 0
	})
	c.release()
	awaitStatus(t, c.q, c.special, queue.Tagged)
}

func TestWhatIsDueIsTakenWithNoSlotFree(t *testing.T) {
	c := newCrowd(t, func(c *crowd, o queue.ConsumerOptions) {
		stop := consume(t, c.q, o)
		awaitStatus(t, c.q, c.special, queue.Tagged)
		stop()
	})
	if n, err := c.q.Replay(t.Context(), c.special); n != 1 || err != nil {
		t.Fatalf("replayed %d, %v", n, err)
	}
	await(t, "it is in flight", func() bool {
		n, err := c.rdb.ZCard(t.Context(), "{seamtag:default}:due").Result()
		return err == nil && n == 0
	})
	c.release()
	awaitStatus(t, c.q, c.special, queue.Tagged)
}
