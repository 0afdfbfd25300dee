package queue

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// gate holds all work of this process back while it is paused, but for one probe at a time.
type gate struct {
	mu      sync.Mutex
	reason  string // empty = open
	since   time.Time
	probeAt time.Time
	probing string        // the entry that probes
	opened  chan struct{} // closed when the gate opens; nil while it is open
}

// await returns true once the gate is open, false when ctx ends first.
func (g *gate) await(ctx context.Context) bool {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened == nil {
		return ctx.Err() == nil
	}
	select {
	case <-opened:
		return true
	case <-ctx.Done():
		return false
	}
}

// state says whether work is paused, and whether a probe may start.
func (g *gate) state() (paused, probe bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason != "", g.reason != "" && g.probing == "" && !time.Now().Before(g.probeAt)
}

// nextProbe is when the next probe may start; zero while the gate is open or a probe is under way.
func (g *gate) nextProbe() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == "" || g.probing != "" {
		return time.Time{}
	}
	return g.probeAt
}

// close pauses, or postpones the next probe. It says whether the gate was open before.
func (g *gate) close(reason string, now, probeAt time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := g.reason == ""
	if first {
		g.since, g.opened = now, make(chan struct{})
	}
	g.reason, g.probeAt, g.probing = reason, probeAt, ""
	return first
}

// probe makes an entry the probe. It says no where the gate is closed and another one is.
func (g *gate) probe(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == "" {
		return true
	}
	if g.probing != "" || time.Now().Before(g.probeAt) {
		return false
	}
	g.probing = id
	return true
}

// abandon ends a probe that showed nothing, such as one whose key was locked.
func (g *gate) abandon(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probing == id {
		g.probing = ""
	}
}

// open ends the pause and answers how long it was; ok is false where there was none.
func (g *gate) open(now time.Time) (after time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == "" {
		return 0, false
	}
	after = now.Sub(g.since)
	close(g.opened)
	g.reason, g.opened, g.probing = "", nil, ""
	return after, true
}

// PauseState is why and since when the workers pause.
type PauseState struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// parsePause reads what a process that pauses left for the others; nil where there is nothing.
func parsePause(text string) *PauseState {
	if text == "" {
		return nil
	}
	p := &PauseState{}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		p.Reason = "unknown"
	}
	return p
}

func (g *gate) current() *PauseState {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == "" {
		return nil
	}
	return &PauseState{Reason: g.reason, Since: g.since}
}

// pause closes the gate and tells the other processes, whose readiness shows it.
func (c *Consumer) pause(reason string, err error) {
	now := time.Now()
	if c.gate.close(reason, now, now.Add(c.o.Probe)) && c.o.Observer.Paused != nil {
		c.o.Observer.Paused(reason, err)
	}
	state, encodeErr := json.Marshal(c.gate.current())
	if encodeErr == nil {
		encodeErr = c.q.rdb.Set(c.work, c.q.keys.pause(), state, 3*c.o.Probe).Err()
	}
	if encodeErr != nil {
		c.trouble("record the pause", encodeErr)
	}
	c.wakeDueLoop()
}

// resume opens the gate.
func (c *Consumer) resume() {
	after, was := c.gate.open(time.Now())
	if !was {
		return
	}
	if c.o.Observer.Resumed != nil {
		c.o.Observer.Resumed(after)
	}
	c.clearPause()
	c.wakeDueLoop()
}

// clearPause takes back what a process said that paused: this one before, or its predecessor with the wrong key.
func (c *Consumer) clearPause() {
	c.cleared.Store(true)
	if err := c.q.rdb.Del(c.work, c.q.keys.pause()).Err(); err != nil {
		c.trouble("clear the pause", err)
	}
}

// Paused is why this process pauses, nil while it works.
func (c *Consumer) Paused() *PauseState { return c.gate.current() }
