package queue_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// setMemory limits the server's memory: "1" makes it full at once, "0" unlimited.
func setMemory(t *testing.T, r *parts.RedisServer, limit string) {
	t.Helper()
	if err := r.Client().ConfigSet(t.Context(), "maxmemory", limit).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestAFullRedisRefusesAndWorksOffWhatItHas(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	p := publisher(t, q)
	check := queue.NewHealthCheck(q)
	var ids []string
	for n := range 40 {
		m := message(n)
		m.Key = []string{"", "same", m.Key}[n%3]
		ids = append(ids, publish(t, p, m))
	}
	setMemory(t, r, "1")
	if _, err := p.Publish(t.Context(), message(99)); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
	if got, err := p.Publish(t.Context(), message(2)); err != nil || !got.Duplicate {
		t.Errorf("what is there already: %+v, %v", got, err)
	}
	if h := check.Health(t.Context()); h.Err != nil || !isFull(h) {
		t.Errorf("health %+v, want one fatal problem that says full", h)
	}
	var calls atomic.Int32
	o := quick(func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		if calls.Add(1)%4 == 0 {
			return queue.Outcome{}, errors.New("not now")
		}
		return queue.Outcome{Status: queue.Tagged, Result: []byte(`{"set":{}}`), State: []byte("state")}, d.Fence()
	})
	o.Lease = 300 * time.Millisecond
	var trouble atomic.Int32
	o.Observer.Trouble = func(doing string, err error) { trouble.Add(1); t.Logf("%s: %v", doing, err) }
	stop := consume(t, q, o)
	for _, id := range ids {
		awaitStatus(t, q, id, queue.Tagged)
	}
	stop()
	if trouble.Load() > 0 {
		t.Errorf("%d calls failed on a full server", trouble.Load())
	}
	setMemory(t, r, "0")
	if h := check.Health(t.Context()); h.Err != nil || isFull(h) {
		t.Errorf("health %+v, want nothing said of a full server", h)
	}
	if got, err := p.Publish(t.Context(), message(99)); err != nil || got.Duplicate {
		t.Errorf("the refused message: %+v, %v; it must not have been marked seen", got, err)
	}
}

func isFull(h queue.Health) bool {
	for _, p := range h.Problems {
		if p.Fatal && strings.Contains(p.Text, "full") {
			return true
		}
	}
	return false
}
