package seam

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pacer is a Limiter for the workers of one process: so many calls in a second, and none while Seam asked to hold back.
type Pacer struct {
	rate *rate.Limiter

	mu    sync.Mutex
	until time.Time // no call before
}

// NewPacer allows perSecond calls, and as many at once after a quiet time (at least one).
func NewPacer(perSecond float64) *Pacer {
	return &Pacer{rate: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))}
}

// Wait implements Limiter.
func (p *Pacer) Wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		hold := time.Until(p.until)
		p.mu.Unlock()
		if hold <= 0 {
			return p.rate.Wait(ctx) //nolint:wrapcheck // the caller says what waited
		}
		timer := time.NewTimer(hold)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// Slow implements Limiter. A shorter hold never cuts a longer one.
func (p *Pacer) Slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.until) {
		p.until = until
	}
}
