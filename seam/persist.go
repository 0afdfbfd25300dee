package seam

import (
	"context"
	"errors"
	"time"
)

const (
	persistTries = 8 // about a minute in all
	persistFirst = 250 * time.Millisecond
	persistMost  = 30 * time.Second
)

// Persist asks again while Seam is away or asks to hold back, for about a minute, or as long as it asks for: long work is not
// to end half-way because of one answer. It is for commands; a worker gives the event back instead.
func Persist(ctx context.Context, ask func() error) error {
	wait := persistFirst
	for try := 1; ; try++ {
		err := ask()
		if try == persistTries || !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrRateLimited) || ctx.Err() != nil {
			return err
		}
		pause := wait
		if e, ok := errors.AsType[*Error](err); ok {
			pause = max(pause, min(e.RetryAfter, 10*persistMost))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		wait = min(2*wait, persistMost)
	}
}
