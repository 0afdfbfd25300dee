package seam_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"seamtag/seam"
)

func TestPersistWaitsOutWhatPasses(t *testing.T) {
	away := &seam.Error{Status: 503}
	for name, tt := range map[string]struct {
		answers []error
		tries   int
		took    time.Duration
	}{
		"at once":      {[]error{nil}, 1, 0},
		"twice away":   {[]error{away, away, nil}, 3, 750 * time.Millisecond},
		"as asked":     {[]error{&seam.Error{Status: 429, RetryAfter: time.Minute}, nil}, 2, time.Minute},
		"for ever":     {[]error{away}, 8, 31*time.Second + 750*time.Millisecond},
		"unauthorized": {[]error{&seam.Error{Status: 401}}, 1, 0},
		"invalid":      {[]error{&seam.Error{Status: 400, Type: "invalid_input"}}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries, began := 0, time.Now()
				err := seam.Persist(t.Context(), func() error {
					tries++
					return tt.answers[min(tries, len(tt.answers))-1]
				})
				if want := tt.answers[len(tt.answers)-1]; !errors.Is(err, want) || tries != tt.tries || time.Since(began) != tt.took {
					t.Errorf("%v after %d tries and %s; want %v after %d and %s", err, tries, time.Since(began), want, tt.tries, tt.took)
				}
			})
		})
	}
}

func TestPersistEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := seam.Persist(ctx, func() error {
		cancel()
		return &seam.Error{Status: 503, RetryAfter: time.Hour}
	})
	if err == nil {
		t.Error("went on")
	}
}
