package page

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	lookEvery   = time.Second      // how often a watched thing is looked at
	tellEvery   = 15 * time.Second // a sign of life, and a reason to refresh the ages shown
	mostStreams = 32               // of one process
	writeWithin = 10 * time.Second
)

// watch answers a text that differs once what is watched has changed.
type watch func(ctx context.Context) (string, error)

// live tells pages that what they show has changed, as server-sent events. A page then reads itself again, so there is one
// way of rendering. Redis is asked only while somebody watches.
type live struct {
	events   Events
	stopping <-chan struct{}
	places   chan struct{}

	mu    sync.Mutex // of what all streams share
	at    time.Time
	stats string
	err   error
}

func newLive(events Events, stopping <-chan struct{}) *live {
	return &live{events: events, stopping: stopping, places: make(chan struct{}, mostStreams)}
}

// stream answers GET /live: all events, or one with ?event=.
func (p *Page) stream(w http.ResponseWriter, r *http.Request) {
	l := p.live
	if p.sessions.of(r) == nil {
		http.Error(w, "sign in", http.StatusUnauthorized) // the browser does not come again
		return
	}
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	default:
		http.Error(w, "too many live pages", http.StatusServiceUnavailable)
		return
	}
	look := l.overall
	if id := r.URL.Query().Get("event"); id != "" {
		look = l.entry(id)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	l.follow(r.Context(), look, func(name string) bool {
		if name == tick && p.sessions.of(r) == nil {
			return false // signed out meanwhile
		}
		if err := out.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
			return false
		}
		if _, err := fmt.Fprintf(w, "event: %s\ndata: -\n\n", name); err != nil {
			return false
		}
		return out.Flush() == nil
	})
}

// The events of a stream.
const (
	change = "change"
	tick   = "tick"
)

// follow tells a change at once, as the page may be older than the stream, and then whenever it sees one. It ends when the
// reader has gone or the process stops.
func (l *live) follow(ctx context.Context, look watch, tell func(name string) bool) {
	if !tell(change) {
		return
	}
	looks, ticks := time.NewTicker(lookEvery), time.NewTicker(tellEvery)
	defer looks.Stop()
	defer ticks.Stop()
	last := see(ctx, look)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.stopping:
			return
		case <-ticks.C:
			if !tell(tick) {
				return
			}
		case <-looks.C:
			now := see(ctx, look)
			if now == last {
				continue
			}
			if last = now; !tell(change) {
				return
			}
		}
	}
}

// see takes an unreachable Redis for a state like any other: its beginning and its end are changes.
func see(ctx context.Context, look watch) string {
	ctx, cancel := context.WithTimeout(ctx, askRedis)
	defer cancel()
	text, err := look(ctx)
	if err != nil {
		return "unknown"
	}
	return text
}

// overall is looked at once for all streams.
func (l *live) overall(ctx context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) < lookEvery*9/10 {
		return l.stats, l.err
	}
	stats, err := l.events.Stats(ctx)
	l.at, l.stats, l.err = time.Now(), fmt.Sprint(stats), err
	return l.stats, l.err
}

func (l *live) entry(id string) watch {
	return func(ctx context.Context) (string, error) {
		e, err := l.events.Entry(ctx, id)
		return fmt.Sprint(e.Status, e.Attempts, e.Deliveries, e.Replays, e.EndedAt), err
	}
}
