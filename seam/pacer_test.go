package seam

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPacerSpreadsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer(10)
		began := time.Now()
		for range 30 {
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("30 calls at 10/s took %s of virtual time, want 2s: ten at once, then one each 100ms", took)
		}
	})
}

func TestPacerHoldsAllCallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPacer(10)
		began := time.Now()
		p.Slow(3 * time.Second)
		p.Slow(time.Second) // a shorter hold cuts nothing
		if err := p.Wait(t.Context()); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %s, want nil after 3s", err, time.Since(began))
		}
		p.Slow(time.Hour)
		var held *HeldBackError
		if err := p.Wait(t.Context()); !errors.As(err, &held) || held.For != time.Hour {
			t.Errorf("%v, want to be sent away for an hour", err)
		}
		p.Slow(0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := NewPacer(1).waitTwice(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's end", err)
		}
	})
}

func (p *Pacer) waitTwice(ctx context.Context) error {
	_ = p.Wait(ctx)
	return p.Wait(ctx)
}

func TestBeingHeldBackIsARateLimit(t *testing.T) {
	err := error(notStarted("/connected_accounts/get", &HeldBackError{For: time.Minute}))
	var e *Error
	if !errors.Is(err, ErrRateLimited) || errors.Is(err, ErrUnavailable) || !errors.As(err, &e) || e.RetryAfter != time.Minute {
		t.Errorf("%v is not a rate limit of a minute", err)
	}
}
