package cli

import (
	"fmt"
	"io"
	"time"
)

// progress is one line on a terminal that says how far long work is; elsewhere it is silent. It goes to stderr, so that
// what a command prints can be piped while it shows.
type progress struct {
	w     io.Writer // nil where nobody watches
	now   func() time.Time
	began time.Time
	shown time.Time
}

func newProgress(p Process) *progress {
	g := &progress{now: time.Now}
	if isTerminal(p.Stderr) {
		g.w = p.Stderr
	}
	g.began = g.now()
	return g
}

const progressEvery = 100 * time.Millisecond

// show says how many are done, of how many where total is known (else 0), with the rate and the time left.
func (g *progress) show(what string, done, total int) {
	now := g.now()
	if g.w == nil || now.Sub(g.shown) < progressEvery && done != total {
		return
	}
	g.shown = now
	_, _ = fmt.Fprintf(g.w, "\r\x1b[K%s", g.line(what, done, total, now))
}

func (g *progress) line(what string, done, total int, now time.Time) string {
	rate := float64(done) / max(now.Sub(g.began).Seconds(), 1e-3)
	text := fmt.Sprintf("%s: %d", what, done)
	if total > 0 {
		text += fmt.Sprintf(" of %d (%d%%)", total, done*100/total)
	}
	text += fmt.Sprintf(", %.0f/s", rate)
	if total > done && done > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}

// done takes the line away.
func (g *progress) done() {
	if g.w != nil && !g.shown.IsZero() {
		_, _ = io.WriteString(g.w, "\r\x1b[K")
	}
}
