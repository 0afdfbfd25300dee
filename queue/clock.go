package queue

import (
	"context"
	"fmt"
	"time"
)

// stepTolerance is how far the server's clock may go back unheeded: things last so much longer, once.
const stepTolerance = 5 * time.Second

// clockWatch compares the server's clock with this process's monotonic one.
type clockWatch struct {
	server time.Time // what the server said
	heard  time.Time // when
}

// back is how far the server's clock was set back since the last answer; 0 where it was not, or by less than the tolerance.
func (w *clockWatch) back(server, asked, heard time.Time) time.Duration {
	last := *w
	w.server, w.heard = server, heard
	if last.heard.IsZero() {
		return 0
	}
	if back := asked.Sub(last.heard) - server.Sub(last.server); back > stepTolerance {
		return back
	}
	return 0
}

// watchClock moves back what is timed by the server's clock where that was set back.
func (c *Consumer) watchClock(ctx context.Context, server, asked time.Time) {
	back := c.clock.back(server, asked, time.Now())
	if back == 0 {
		return
	}
	k := c.q.keys
	keys := []string{k.log(), k.due(), k.rate(), k.hold(), k.stepped()}
	done, err := c.q.run(ctx, stepScript, keys, group, back.Milliseconds(), (2 * c.o.Sweep).Milliseconds()).Int()
	if err == nil && done == 1 {
		err = fmt.Errorf("the clock of redis was set back by %s: what waits and what is leased was moved along", back.Round(time.Second))
	}
	if err != nil {
		c.trouble("watch its clock", err)
	}
	c.wakeDueLoop()
}
