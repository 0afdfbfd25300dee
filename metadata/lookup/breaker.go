package lookup

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Breaker says when a system is left alone. Only failures of the system count (connection, 5xx, 429, timeout), and an
// answer of any other kind ends the row.
type Breaker struct {
	Failures int           // in a row until nobody is asked any more; 5 by default, negative for no breaker
	Cooldown time.Duration // then one ask tries; 30 s by default
}

type breaker = gobreaker.CircuitBreaker[any]

func newBreaker(name string, o Breaker) *breaker {
	return gobreaker.NewCircuitBreaker[any](gobreaker.Settings{
		Name:        name,
		MaxRequests: 1,
		Timeout:     o.Cooldown,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return o.Failures > 0 && int64(counts.ConsecutiveFailures) >= int64(o.Failures)
		},
		IsSuccessful: func(err error) bool { return !isFailure(err) },
		IsExcluded:   isCanceled,
	})
}

func isRefusedByBreaker(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}
