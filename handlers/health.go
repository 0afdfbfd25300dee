package handlers

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"
)

// Health is what readiness answers, as JSON. Role and Version are filled in here.
type Health struct {
	Ready    bool     `json:"ready"`
	Role     string   `json:"role"`
	Version  string   `json:"version,omitempty"`
	Redis    Check    `json:"redis"`
	Paused   *Pause   `json:"paused"`
	Lag      Lag      `json:"lag"`
	Volatile bool     `json:"volatile"` // events are kept in memory only
	Problems []string `json:"problems"` // sentences for the operator
}

// Check says whether a part answers, and why not.
type Check struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Pause says why the workers stand still, and since when.
type Pause struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Lag says how much work waits, and how long the oldest of it has waited.
type Lag struct {
	Waiting       int64 `json:"waiting"`
	OldestSeconds int64 `json:"oldest_seconds"`
}

// live answers that the process runs, and asks nobody: a restart does not mend Redis.
func live(c echo.Context) error {
	return c.JSON(http.StatusOK, accepted{Status: "ok"})
}

// checkup asks for the health once at a time. Probes that come meanwhile wait for the same answer, so that a question
// that hangs is asked once and not at every probe.
type checkup struct {
	ask           func(context.Context) Health
	timeout       time.Duration
	role, version string
	log           zerolog.Logger

	mu      sync.Mutex
	present *examination // nil when none is under way
}

// examination is one question under way; health is written before done is closed.
type examination struct {
	done   chan struct{}
	health Health
}

func newCheckup(o Options) *checkup {
	return &checkup{ask: o.Health, timeout: o.HealthTimeout, role: o.Role, version: o.Version, log: o.Log}
}

// ready answers GET /readyz.
func (u *checkup) ready(c echo.Context) error {
	h := u.await(u.join())
	h.Role, h.Version = u.role, u.version
	if h.Problems == nil {
		h.Problems = []string{} // a list, also when empty
	}
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	return c.JSON(status, h)
}

// await is patient for the timeout only.
func (u *checkup) await(x *examination) Health {
	late := time.NewTimer(u.timeout)
	defer late.Stop()
	select {
	case <-x.done:
		return x.health
	case <-late.C:
		return Health{Problems: []string{fmt.Sprintf("the health check took over %s", u.timeout)}}
	}
}

// join returns the examination under way, or begins one. It belongs to no request: others may wait for it too.
func (u *checkup) join() *examination {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.present == nil {
		u.present = &examination{done: make(chan struct{})}
		go u.examine(u.present)
	}
	return u.present
}

func (u *checkup) examine(x *examination) {
	defer func() {
		if value := recover(); value != nil {
			u.log.Error().Str("panic", panicText(value)).Msg("the health check panicked")
			x.health = Health{Problems: []string{"the health check panicked"}}
		}
		u.mu.Lock()
		u.present = nil
		u.mu.Unlock()
		close(x.done)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), u.timeout)
	defer cancel()
	x.health = u.ask(ctx)
}
