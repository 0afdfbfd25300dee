package queue

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// HeldBackError is why Pace lets no call start: Seam asked to hold back for longer than a caller should wait.
type HeldBackError struct{ For time.Duration }

// Error says for how long.
func (h *HeldBackError) Error() string {
	return "seam asked to hold back for " + h.For.Round(time.Second).String()
}

// HeldBack is for how long.
func (h *HeldBackError) HeldBack() time.Duration { return h.For }

const (
	// longestHold is what Wait waits through; for longer the caller is sent away, so that no worker is kept busy waiting.
	longestHold = 5 * time.Second
	paceTimeout = 2 * time.Second
	// paceBlock is how many seconds' worth of calls a process takes at once: what it saves in commands, it may have in hand
	// without need.
	paceBlock = 0.8
	maxBlock  = 64
	// callsOfAnEvent is what a changed account costs: with as many in hand, beginning takes none along.
	callsOfAnEvent = 4
)

// Pace is the rate of calls to Seam that all processes on one Redis share (docs/decisions/0008). Calls are taken from it in
// blocks; a worker takes them along with the entries that it begins, so that at rest they cost no call to Redis.
type Pace struct {
	q        *Queue
	interval time.Duration // between two calls
	burst    time.Duration // as many calls as fit into it may start at once after a quiet time
	block    int

	waiting atomic.Int32
	turn    chan struct{} // one element: who may take a block

	mu    sync.Mutex
	stock int       // calls in hand
	next  time.Time // when the first of them may start; each further one an interval later
	until time.Time // no call before
}

// NewPace allows perSecond calls, and as many as a second's worth at once after a quiet time (at least one).
func NewPace(q *Queue, perSecond float64) *Pace {
	interval := time.Duration(float64(time.Second) / perSecond)
	return &Pace{
		q: q, interval: interval, burst: max(time.Second, interval), turn: make(chan struct{}, 1),
		block: max(1, min(maxBlock, int(perSecond*paceBlock))),
	}
}

// Wait returns when the next call may start, with a *HeldBackError where that is too long to wait for, or when ctx ends.
func (p *Pace) Wait(ctx context.Context) error {
	for {
		if hold := p.Held(); hold > longestHold {
			return &HeldBackError{For: hold}
		} else if hold > 0 {
			if err := sleep(ctx, hold); err != nil {
				return err
			}
			continue
		}
		at, err := p.claim(ctx)
		if err != nil {
			return err
		}
		if err := sleep(ctx, time.Until(at)); err != nil {
			return err
		}
		if p.Held() == 0 {
			return nil
		}
	}
}

// Slow holds the calls of all processes back for d.
func (p *Pace) Slow(d time.Duration) {
	if !p.hold(d) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), paceTimeout)
	defer cancel()
	// Should Redis be away, then nobody works there until it is back, and who calls too early is told by Seam again.
	_ = p.q.run(ctx, holdScript, []string{p.q.keys.hold()}, d.Milliseconds()).Err()
}

// Held is for how long no call may start.
func (p *Pace) Held() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(p.until))
}

// hold notes a hold; false where one as long is known. Others who were refused at the same time say the same.
func (p *Pace) hold(d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := time.Now().Add(d)
	if d <= 0 || until.Sub(p.until) < 100*time.Millisecond {
		return false
	}
	p.until = until
	return true
}

// claim takes one call out of the stock and answers when it may start. An empty stock is filled first.
func (p *Pace) claim(ctx context.Context) (time.Time, error) {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
	if at, ok := p.spend(); ok {
		return at, nil
	}
	n := min(p.block, int(p.waiting.Load()))
	asked := time.Now()
	callCtx, cancel := context.WithTimeout(ctx, paceTimeout)
	defer cancel()
	keys := []string{p.q.keys.rate(), p.q.keys.hold()}
	reply, err := p.q.run(callCtx, takeScript, keys, n, millisOf(p.interval), millisOf(p.burst)).Int64Slice()
	if err == nil && len(reply) != 2 {
		err = fmt.Errorf("%d values", len(reply))
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("take calls from the shared rate: %w", err)
	}
	p.took(asked, int64(n), reply[0], reply[1])
	at, _ := p.spend()
	return at, nil
}

func (p *Pace) spend() (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stock == 0 {
		return time.Time{}, false
	}
	at := p.next
	p.stock--
	p.next = p.next.Add(p.interval)
	return at, true
}

// wanted is how many calls to take along when entries begin; 0 while there are enough in hand.
func (p *Pace) wanted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stock >= min(p.block, callsOfAnEvent) {
		return 0
	}
	return p.block - p.stock
}

// took puts n calls into the stock, as the scripts answer them. Where some came in hand meanwhile, all wait so long that the
// new ones start no earlier than they may.
func (p *Pace) took(asked time.Time, n, wait, hold int64) {
	p.hold(time.Duration(hold) * time.Millisecond)
	if n < 1 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	first := asked.Add(time.Duration(wait) * time.Millisecond)
	first = first.Add(-time.Duration(p.stock) * p.interval)
	if p.stock == 0 || first.After(p.next) {
		p.next = first
	}
	p.stock += int(n)
}

// millisOf writes a duration as a number of ms that may have a fraction: at 2000 calls a second it is half of one.
func millisOf(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
