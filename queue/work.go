package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

func (c *Consumer) newDelivery(id string, fields map[string]string, asked time.Time) *Delivery {
	d := &Delivery{
		Message: messageOf(fields), EntryID: id, lease: c.o.Lease, since: asked,
		token: c.name + "#" + strconv.FormatUint(c.nonce.Add(1), 36),
	}
	d.noteExtended(asked)
	return d
}

// start takes the locks of the deliveries' keys in one call and runs those that got it. The others wait already.
func (c *Consumer) start(ctx context.Context, deliveries []*Delivery, probing bool) {
	if len(deliveries) == 0 {
		return
	}
	k := c.q.keys
	keys := make([]string, 0, 4+3*len(deliveries))
	args := make([]any, 0, 6+3*len(deliveries))
	keys = append(keys, k.log(), k.due(), k.hold(), k.rate())
	args = append(args, group, c.o.Lease.Milliseconds(), 1000+rand.Int64N(1000))
	if p := c.o.Pace; p != nil {
		args = append(args, p.wanted(), millisOf(p.interval), millisOf(p.burst))
	} else {
		args = append(args, 0, 0, 0)
	}
	for _, d := range deliveries {
		keys = append(keys, k.entry(d.EntryID), k.lock(d.Key), k.state(d.Key))
		args = append(args, d.EntryID, d.lockToken(), flag(!d.fresh))
	}
	asked := time.Now()
	reply, err := c.q.run(ctx, beginScript, keys, args...).Slice()
	if err == nil && len(reply) != 3+3*len(deliveries) {
		err = fmt.Errorf("%d values for %d entries", len(reply), len(deliveries))
	}
	if err != nil {
		// They stay in flight under this name and are rescued once the lease has run out.
		c.trouble("begin entries", err)
		c.gate.abandon(deliveries[0].EntryID)
		return
	}
	if p := c.o.Pace; p != nil {
		p.took(asked, asInt(reply[1]), asInt(reply[2]), asInt(reply[0]))
	}
	reply = reply[3:]
	contended := false
	for i, d := range deliveries {
		if reply[3*i] != "1" {
			contended = true
			continue
		}
		if state, ok := reply[3*i+1].(string); ok {
			d.State = []byte(state)
		}
		d.load(fieldsOf(reply[3*i+2]))
		d.noteExtended(asked)
		c.run(d, probing)
	}
	if contended {
		c.wakeDueLoop()
	}
}

func asInt(v any) int64 {
	n, _ := v.(int64)
	return n
}

// load adds what the entry's record says of earlier attempts.
func (d *Delivery) load(fields map[string]string) {
	handed := d.record.Deliveries
	d.record = parseRecord(fields)
	d.record.Deliveries += handed
	d.Attempt = d.record.Attempts + 1
	d.fresh = len(fields) == 0
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func (c *Consumer) run(d *Delivery, probing bool) {
	ctx, cancel := context.WithCancelCause(c.work)
	d.cancel = cancel
	c.mu.Lock()
	c.flight[d.EntryID] = d
	c.dueInFlight += d.dueCount()
	c.mu.Unlock()
	held := c.takeSlot() // at once where there is one, so that the next read sees it taken
	c.running.Go(func() {
		defer cancel(nil)
		if !held {
			c.slots <- struct{}{}
		}
		lost := c.handle(ctx, d, probing)
		c.mu.Lock()
		delete(c.flight, d.EntryID)
		c.dueInFlight -= d.dueCount()
		again := c.again[d.EntryID]
		delete(c.again, d.EntryID)
		backlog := c.backlog
		c.mu.Unlock()
		if again != nil && lost && again.Fence() == nil && c.work.Err() == nil {
			c.start(c.work, []*Delivery{again}, false)
		}
		if backlog {
			c.wakeDueLoop()
		}
	})
}

func (c *Consumer) takeSlot() bool {
	select {
	case c.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// handle runs the handler and records how it went, unless the lease was lost.
func (c *Consumer) handle(ctx context.Context, d *Delivery, probing bool) (lost bool) {
	if !c.gate.probe(d.EntryID) {
		return c.settle(d, c.verdict(d, Outcome{}, Pause("", errPaused), 0)) // it came while the pause began
	}
	started := time.Now()
	var outcome Outcome
	var err error
	if d.poison {
		err = Permanent("poison", fmt.Errorf("%d deliveries ended without an outcome", d.record.Deliveries-1))
	} else {
		outcome, err = c.callHandler(ctx, d)
	}
	if err != nil && context.Cause(ctx) != nil {
		err = Pause("", context.Cause(ctx)) // stopping, or the lease was lost: given back as if never started
		c.gate.abandon(d.EntryID)
	}
	v := c.verdict(d, outcome, err, time.Since(started))
	switch {
	case v.pause != "":
		c.pause(v.pause, err)
	case v.givenBack:
	case probing:
		c.resume()
	case !c.cleared.Load():
		c.clearPause()
	}
	return c.settle(d, v)
}

var errPaused = errors.New("the workers pause")

// callHandler turns a panic into a failure that backs off.
func (c *Consumer) callHandler(ctx context.Context, d *Delivery) (o Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = Backoff("panic", fmt.Errorf("the handler panicked: %T", r))
		}
	}()
	return c.o.Handler(ctx, d)
}

// verdict is what follows from an attempt.
type verdict struct {
	Settlement

	outcome   Outcome
	at        time.Time
	givenBack bool   // as if never started
	pause     string // reason to pause all work
}

// longestAfter is the longest that a failure may ask to wait.
const longestAfter = time.Hour

// verdict decides. Failures in a row are timed from the first: time spent paused is none.
func (c *Consumer) verdict(d *Delivery, o Outcome, err error, took time.Duration) verdict {
	now := time.Now()
	v := verdict{Settlement: Settlement{Delivery: d, Status: o.Status, Reason: o.Reason, Err: err, Took: took}, outcome: o, at: now}
	if err == nil {
		if !o.Status.Ended() || o.Status == Dead {
			v.Status, v.Reason, v.Err = Dead, "bad_outcome", fmt.Errorf("the handler ended with status %q", o.Status)
		}
		return v
	}
	i := instructionOf(err)
	v.Reason = i.reason
	switch i.kind {
	case bury:
		v.Status = Dead
	case pause:
		v.Status, v.givenBack, v.pause = d.record.Status, true, i.reason
	case later:
		v.Status, v.Next = Retrying, max(0, min(i.delay, longestAfter))
	case backOff:
		v.Status, v.Next = Retrying, c.o.Schedule.Delay(d.Attempt)
	}
	first := d.record.FirstFailed
	if v.Status == Retrying && !v.givenBack && !first.IsZero() && now.Sub(first) >= c.o.GiveUpAfter {
		v.Status, v.Next = Dead, 0
	}
	return v
}

// apply writes the verdict into the record.
func (v *verdict) apply(r *record, worker string) {
	if v.givenBack {
		return
	}
	r.Status, r.Reason, r.Error = v.Status, v.Reason, ""
	r.Attempts++
	if v.Err != nil {
		r.Error = v.Err.Error()
	}
	switch {
	case v.Status.Ended():
		r.EndedAt, r.FirstFailed = v.at, time.Time{}
		r.Result = v.outcome.Result
	case r.FirstFailed.IsZero():
		r.FirstFailed = v.at
	}
	r.remember(Attempt{
		At: v.at.Add(-v.Took), TookMS: v.Took.Milliseconds(), Status: v.Status, Reason: v.Reason, Error: r.Error, Worker: worker,
	})
}
