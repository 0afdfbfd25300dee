package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// readLoop takes unread entries, as many as can start now, and the calls to wake.
func (c *Consumer) readLoop(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		if !c.awaitSlot(ctx) {
			return
		}
		err := c.read(ctx)
		if redis.HasErrorPrefix(err, "NOGROUP") {
			err = c.join(ctx)
		}
		switch {
		case err == nil, errors.Is(err, redis.Nil):
			failures = 0
		case ctx.Err() != nil:
			return
		default:
			if failures++; failures > 1 { // the first may be an idle connection that was cut
				c.trouble("read the log", err)
			}
			pauseBetweenFailures(ctx, failures)
		}
	}
}

// awaitSlot returns true once at least one entry could start.
func (c *Consumer) awaitSlot(ctx context.Context) bool {
	if !c.gate.await(ctx) || sleep(ctx, c.held()) != nil {
		return false
	}
	select {
	case c.slots <- struct{}{}:
		<-c.slots
		return true
	case <-ctx.Done():
		return false
	}
}

// held is for how long no call to Seam may start, and so nothing need begin.
func (c *Consumer) held() time.Duration {
	if c.o.Pace == nil {
		return 0
	}
	return c.o.Pace.Held()
}

func (c *Consumer) free() int { return max(0, cap(c.slots)-len(c.slots)) }

// join makes the group where it is missing: a new Redis, or one that lost its data.
func (c *Consumer) join(ctx context.Context) error {
	c.q.known.forget()
	return c.q.run(ctx, joinScript, []string{c.q.keys.log(), c.q.keys.wake()}, group).Err()
}

func (c *Consumer) read(ctx context.Context) error {
	asked := time.Now()
	streams, err := c.reader.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: group, Consumer: c.name, Streams: []string{c.q.keys.log(), c.q.keys.wake(), ">", ">"},
		Count: int64(max(1, c.free())), Block: c.o.Block,
	}).Result()
	if err != nil {
		return err
	}
	if time.Since(asked) > c.o.Lease/4 {
		asked = time.Now() // it was the wait for the first that took so long: the lease began when it came
	}
	for _, s := range streams {
		if s.Stream == c.q.keys.wake() {
			c.woken(ctx, s.Messages)
			continue
		}
		deliveries := make([]*Delivery, 0, len(s.Messages))
		for _, m := range s.Messages {
			d := c.newDelivery(m.ID, stringValues(m.Values), asked)
			d.fresh, d.record.Deliveries = true, 1
			deliveries = append(deliveries, d)
		}
		c.start(ctx, deliveries, false)
	}
	return nil
}

// woken heeds calls to wake: something is due that this process does not know of.
func (c *Consumer) woken(ctx context.Context, calls []redis.XMessage) {
	ids := make([]string, 0, len(calls))
	for _, m := range calls {
		ids = append(ids, m.ID)
	}
	if err := c.q.rdb.XAck(ctx, c.q.keys.wake(), group, ids...).Err(); err != nil {
		c.trouble("acknowledge a wake", err)
	}
	c.wakeDueLoop()
}

func stringValues(values map[string]any) map[string]string {
	m := make(map[string]string, len(values))
	for k, v := range values {
		m[k], _ = v.(string)
	}
	return m
}

// dueLoop sleeps until the earliest due time it knows and brings what is due back in flight.
func (c *Consumer) dueLoop(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		wait := 24 * time.Hour
		if n := c.dueAllowed(); n > 0 {
			next, err := c.takeDue(ctx, n)
			switch {
			case err == nil:
				failures, wait = 0, next
			case ctx.Err() != nil:
				return
			default:
				failures++
				c.trouble("take what is due", err)
				pauseBetweenFailures(ctx, failures)
				continue
			}
		}
		if at := c.gate.nextProbe(); !at.IsZero() {
			wait = min(wait, max(0, time.Until(at)))
		}
		if held := c.held(); held > 0 {
			wait = min(wait, held)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		case <-time.After(wait):
		}
	}
}

// dueAllowed is how many waiting entries may start now.
func (c *Consumer) dueAllowed() int {
	if paused, probe := c.gate.state(); paused {
		if probe {
			return 1
		}
		return 0
	}
	if c.held() > 0 {
		return 0
	}
	if n := c.dueShare(); n > 0 {
		return n
	}
	c.setBacklog(true) // unknown: a slot that gets free looks again
	return 0
}

// dueShare divides the slots: a quarter is left to entries that come now, so that a large replay never delays them; and
// a quarter goes to waiting entries, however many come now. Those queue for the next slot, ahead of the next read.
func (c *Consumer) dueShare() int {
	share := max(1, cap(c.slots)/4)
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.free()-share, share-c.dueInFlight)
}

func (c *Consumer) setBacklog(b bool) {
	c.mu.Lock()
	c.backlog = b
	c.mu.Unlock()
}

// takeDue takes up to n due entries and answers how long until the next.
func (c *Consumer) takeDue(ctx context.Context, n int) (time.Duration, error) {
	k := c.q.keys
	asked := time.Now()
	reply, err := c.q.run(ctx, dueScript, []string{k.log(), k.due()}, group, c.name, n).Slice()
	if redis.HasErrorPrefix(err, "NOGROUP") {
		err = errors.Join(c.join(ctx), err)
	}
	if err != nil {
		return 0, err
	}
	deliveries := make([]*Delivery, 0, len(reply)/2)
	for i := 1; i+1 < len(reply); i += 2 {
		id, _ := reply[i].(string)
		fields := fieldsOf(reply[i+1])
		if fields == nil {
			c.buryGone(id)
			continue
		}
		d := c.newDelivery(id, fields, asked)
		d.record.Deliveries, d.waited = 1, true
		deliveries = append(deliveries, d)
	}
	probing, _ := c.gate.state()
	if probing && len(deliveries) == 0 {
		c.resume() // nothing to probe with: the next entry will show
	}
	c.start(ctx, deliveries, probing)
	ms, _ := reply[0].(int64)
	return c.untilNext(ctx, ms, len(deliveries) == n), nil
}

// untilNext remembers whether more was due than could start, and passes the word to another process then.
func (c *Consumer) untilNext(ctx context.Context, ms int64, full bool) time.Duration {
	more := ms == 0 && full
	wait := time.Duration(ms)*time.Millisecond + time.Millisecond
	switch {
	case more:
		c.callOthers(ctx)
		wait = time.Second
	case ms < 0:
		wait = 24 * time.Hour
	}
	c.mu.Lock()
	c.backlog, c.looks = more, time.Now().Add(wait)
	c.mu.Unlock()
	return wait
}

// callOthers wakes one more process, at most once a second: this one has all it can do.
func (c *Consumer) callOthers(ctx context.Context) {
	if time.Since(c.called) < time.Second {
		return
	}
	c.called = time.Now()
	if err := c.q.wakeWorkers(ctx); err != nil {
		c.trouble("wake another worker", err)
	}
}

func (q *Queue) wakeWorkers(ctx context.Context) error {
	return q.run(ctx, wakeScript, []string{q.keys.wake()}).Err()
}

// sweepLoop sweeps at the start and at each period, and again soon where there was more than one sweep takes.
func (c *Consumer) sweepLoop(ctx context.Context) {
	for more := c.sweep(ctx); ; {
		wait := c.o.Sweep
		if more {
			wait /= 30
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
			more = c.sweep(ctx)
		}
	}
}

// rescuable is how many entries a sweep may take: as many as there are slots, free or not, so that a backlog never delays
// what a dead worker left. They queue for the next slot, ahead of the next read.
func (c *Consumer) rescuable() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return 2*cap(c.slots) - len(c.flight)
}

// sweep takes over what dead workers left in flight, and looks whether something is due earlier than known, or the server's
// clock was set back. It says whether there may be more.
func (c *Consumer) sweep(ctx context.Context) (more bool) {
	n := c.rescuable()
	if paused, _ := c.gate.state(); paused || n <= 0 {
		return n <= 0
	}
	asked := time.Now()
	var left *redis.XAutoClaimCmd
	var due *redis.ZSliceCmd
	var server *redis.TimeCmd
	_, err := c.q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		left = p.XAutoClaim(ctx, &redis.XAutoClaimArgs{
			Stream: c.q.keys.log(), Group: group, Consumer: c.name, MinIdle: c.o.Lease, Start: c.sweeps, Count: int64(n),
		})
		due = p.ZRangeWithScores(ctx, c.q.keys.due(), 0, 0)
		server = p.Time(ctx)
		return nil
	})
	if at, err := server.Result(); err == nil {
		c.watchClock(ctx, at, asked)
	}
	if err != nil {
		if !redis.HasErrorPrefix(err, "NOGROUP") {
			c.trouble("look for what dead workers left", err)
		}
		return false
	}
	if first := due.Val(); len(first) > 0 && c.looksAfter(time.UnixMilli(int64(first[0].Score))) {
		c.wakeDueLoop()
	}
	var claimed []redis.XMessage
	claimed, c.sweeps = left.Val()
	c.rescue(ctx, slices.DeleteFunc(claimed, func(m redis.XMessage) bool { return m.Values == nil }), asked)
	return c.sweeps != "0-0"
}

// rescue works on claimed entries.
func (c *Consumer) rescue(ctx context.Context, claimed []redis.XMessage, asked time.Time) {
	if len(claimed) == 0 {
		return
	}
	deliveries, err := c.rescued(ctx, claimed, asked)
	if err != nil {
		c.trouble("count deliveries", err)
		return
	}
	c.metrics.rescued.Add(float64(len(deliveries)))
	c.start(ctx, slices.DeleteFunc(deliveries, c.postponed), false)
}

// postponed keeps a rescued entry until this process's own handler, which lost the lease and works on it still, has ended.
func (c *Consumer) postponed(d *Delivery) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, busy := c.flight[d.EntryID]
	if busy {
		c.again[d.EntryID] = d
	}
	return busy
}

// rescued makes deliveries of claimed entries, with the group's count of how often they were handed out without an outcome.
func (c *Consumer) rescued(ctx context.Context, claimed []redis.XMessage, asked time.Time) ([]*Delivery, error) {
	pending, err := c.q.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{
		Stream: c.q.keys.log(), Group: group, Consumer: c.name,
		Start: claimed[0].ID, End: claimed[len(claimed)-1].ID, Count: 10_000,
	}).Result()
	if err != nil {
		return nil, err
	}
	handed := make(map[string]int, len(pending))
	for _, p := range pending {
		handed[p.ID] = int(p.RetryCount)
	}
	deliveries := make([]*Delivery, 0, len(claimed))
	for _, m := range claimed {
		d := c.newDelivery(m.ID, stringValues(m.Values), asked)
		d.record.Deliveries = handed[m.ID]
		d.poison = handed[m.ID] > c.o.MaxDeliveries
		deliveries = append(deliveries, d)
	}
	return deliveries, nil
}

// looksAfter says whether the due loop plans its next look only after at: another process set that time.
func (c *Consumer) looksAfter(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.looks.After(at.Add(time.Second))
}
