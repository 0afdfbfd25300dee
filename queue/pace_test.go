package queue_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestAllProcessesShareOneRate(t *testing.T) {
	r := parts.Redis(t, "--appendfsync", "no")
	const perSecond, calls = 50, 100
	began := time.Now()
	var mu sync.Mutex
	var starts []time.Duration
	var wg sync.WaitGroup
	for range 4 { // processes
		p := queue.NewPace(open(t, r), perSecond)
		for range 5 { // handlers
			wg.Go(func() {
				for range calls / 20 {
					if err := p.Wait(t.Context()); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					starts = append(starts, time.Since(began))
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	slices.Sort(starts)
	for n, at := range starts { // a second's worth at once, then one each 20 ms: slower is a slow machine, faster is wrong
		if earliest := time.Duration(n+1-perSecond) * time.Second / perSecond; at < earliest-20*time.Millisecond {
			t.Fatalf("call %d started after %s, allowed after %s", n+1, at, earliest)
		}
	}
}

func TestARefusalHoldsEveryProcessBack(t *testing.T) {
	r := parts.Redis(t)
	refused, other := queue.NewPace(open(t, r), 1000), queue.NewPace(open(t, r), 1000)
	refused.Slow(time.Hour)
	refused.Slow(time.Second) // a shorter hold cuts nothing
	var held *queue.HeldBackError
	if err := refused.Wait(t.Context()); !errors.As(err, &held) || held.For < 59*time.Minute {
		t.Errorf("the process that was refused: %v", err)
	}
	if err := other.Wait(t.Context()); !errors.As(err, &held) || held.For < 59*time.Minute {
		t.Errorf("another process: %v", err)
	}
}

func TestAShortHoldIsWaitedThrough(t *testing.T) {
	p := queue.NewPace(open(t, parts.Redis(t)), 1000)
	const hold = 300 * time.Millisecond
	began := time.Now()
	p.Slow(hold)
	if err := p.Wait(t.Context()); err != nil || time.Since(began) < hold {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	p.Slow(4 * time.Second)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopping := errors.New("stopping")
	cancel(stopping)
	if err := p.Wait(ctx); !errors.Is(err, stopping) {
		t.Errorf("%v, want the context's end", err)
	}
}

func TestWorkersThatBeginLearnOfAHold(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	queue.NewPace(open(t, r), 10).Slow(time.Hour) // another process was refused
	pace := queue.NewPace(q, 10)
	answers := make(chan error, 1)
	o := quick(func(ctx context.Context, _ *queue.Delivery) (queue.Outcome, error) {
		answers <- pace.Wait(ctx)
		return queue.Outcome{Status: queue.Tagged}, nil
	})
	o.Pace = pace
	consume(t, q, o)
	p := publisher(t, q)
	first := publish(t, p, message(1))
	var held *queue.HeldBackError
	if err := <-answers; !errors.As(err, &held) {
		t.Errorf("the handler was let through: %v", err)
	}
	awaitStatus(t, q, first, queue.Tagged)
	second := publish(t, p, message(2)) // nothing begins while it is known that nothing can be done
	r.Client().Del(t.Context(), "{seamtag:default}:hold")
	if e := entry(t, q, second); e.Status != queue.Queued || pace.Held() < 59*time.Minute {
		t.Errorf("%s while held for %s", e.Status, pace.Held())
	}
}
