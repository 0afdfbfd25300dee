package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestScriptsThatTheServerForgotAreSentAgain(t *testing.T) {
	for _, ack := range []queue.Ack{queue.AckMemory, queue.AckReplica} {
		t.Run(string(ack), func(t *testing.T) {
			r := parts.Redis(t)
			if ack == queue.AckReplica {
				parts.Redis(t, "--replicaof", fmt.Sprintf("127.0.0.1 %s", portOf(r)))
			}
			q := open(t, r, func(o *queue.Options) { o.Ack = ack })
			p := publisher(t, q)
			var calls int
			o := quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
				if calls++; calls%2 == 0 {
					return queue.Outcome{}, errors.New("not now")
				}
				return queue.Outcome{Status: queue.Tagged}, nil
			})
			o.Concurrency = 1
			consume(t, q, o)
			await(t, "a replica is there", func() bool { _, err := p.Publish(t.Context(), message(0)); return err == nil })
			for n := 1; n < 12; n++ {
				if err := r.Client().ScriptFlush(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				awaitStatus(t, q, publish(t, p, message(n)), queue.Tagged)
			}
		})
	}
}

func portOf(r *parts.RedisServer) string {
	_, port, _ := strings.Cut(r.Addr(), ":")
	return port
}
