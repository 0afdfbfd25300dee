package queue_test

import (
	"testing"
	"time"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// failoverWithin is less than the time after which go-redis alone would look for a Cluster's new primary.
const failoverWithin = 50 * time.Second

func TestWorkGoesOnAfterAFailover(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (queue.Options, func() *parts.RedisServer){
		"cluster": func(t *testing.T) (queue.Options, func() *parts.RedisServer) {
			c := parts.Cluster(t)
			return queue.Options{URL: c.URL(), Mode: queue.Cluster}, func() *parts.RedisServer { return c.Primary("{seamtag:default}:log") }
		},
		"cluster, replica": func(t *testing.T) (queue.Options, func() *parts.RedisServer) {
			c := parts.Cluster(t)
			return queue.Options{URL: c.URL(), Mode: queue.Cluster, Ack: queue.AckReplica},
				func() *parts.RedisServer { return c.Primary("{seamtag:default}:log") }
		},
		"sentinel": func(t *testing.T) (queue.Options, func() *parts.RedisServer) {
			s := parts.Sentinel(t)
			return queue.Options{URL: s.URL(), Mode: queue.Sentinel}, s.Primary
		},
	} {
		t.Run(name, func(t *testing.T) {
			o, primary := start(t)
			q, err := queue.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { q.Close() })
			p := publisher(t, q)
			consume(t, q, quick(tag))
			awaitStatus(t, q, publish(t, p, message(1)), queue.Tagged)
			died := primary()
			died.Kill()
			parts.Await(t, "a replica takes over", failoverWithin, func() bool { return primary() != died })
			if o.Ack == queue.AckReplica {
				died.Start() // a Cluster's new primary has no other replica
			}
			var r queue.Receipt
			parts.Await(t, "an event is accepted", failoverWithin, func() bool {
				r, err = p.Publish(t.Context(), message(2))
				return err == nil
			})
			parts.Await(t, "it is tagged", failoverWithin, func() bool {
				e, err := q.Entry(t.Context(), r.EntryID)
				return err == nil && e.Status == queue.Tagged
			})
		})
	}
}
