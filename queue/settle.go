package queue

import (
	"context"
	"fmt"
	"slices"
	"time"
)

type settleCall struct {
	id, key, token string
	kind           string // "end", "wait" or "gone"
	delay          time.Duration
	from, to       shelf // where it stood and stands now; a zero shelf is none
	state          []byte
	fields         []any
	done           chan settleResult
}

// What settle.lua answers beside "1": the lease was lost; settled, and an entry that waited for the key is due.
const (
	settledNot      = "0"
	settledAndFreed = "2"
)

type settleResult struct {
	settled bool
	err     error
}

func (s *settleCall) size() int {
	n := len(s.state)
	for _, f := range s.fields {
		switch f := f.(type) {
		case []byte:
			n += len(f)
		case string:
			n += len(f)
		}
	}
	return n
}

// settle records a verdict. While Redis does not answer it keeps trying: the entry stays in flight, and should the lease
// run out meanwhile, another worker does the work again, which is harmless. It answers whether the lease was lost.
func (c *Consumer) settle(d *Delivery, v verdict) (lost bool) {
	c.freeSlot()
	defer func() { <-c.settling }()
	stood := d.shelf()
	v.apply(&d.record, c.name)
	call := &settleCall{
		id: d.EntryID, key: d.Key, token: d.lockToken(), kind: "wait", delay: v.Next,
		fields: d.record.fields(d.token, d.fresh), from: stood, to: d.shelf(), done: make(chan settleResult, 1),
	}
	if v.Status.Ended() && !v.givenBack {
		call.kind = "end"
	}
	call.state = v.outcome.State
	settled, ok := c.submit(call)
	v.Lost = ok && !settled
	if !ok {
		return false
	}
	if settled && call.kind == "wait" {
		c.wakeDueLoop()
	}
	if settled && !v.givenBack {
		c.metrics.settled(v)
	}
	if c.o.Observer.Settled != nil && (!v.givenBack || v.Lost) {
		c.o.Observer.Settled(v.Settlement)
	}
	return v.Lost
}

// freeSlot lets the next handler start while this entry's end is recorded. No more ends are recorded at a time than handlers
// run, so that a Redis that takes no writes is not read from for ever.
func (c *Consumer) freeSlot() {
	c.settling <- struct{}{}
	<-c.slots
}

// submit hands a call to the settler until it is answered; ok is false where the process had to stop before.
func (c *Consumer) submit(call *settleCall) (settled, ok bool) {
	for failures := 0; ; failures++ {
		c.settler.in <- call
		r := <-call.done
		if r.err == nil {
			return r.settled, true
		}
		c.trouble("settle an entry", r.err)
		if c.work.Err() != nil {
			return false, false
		}
		pauseBetweenFailures(c.work, failures)
	}
}

func (c *Consumer) settleBatch(calls []*settleCall) {
	k := c.q.keys
	keys := make([]string, 0, 4+5*len(calls))
	args := make([]any, 0, 5+20*len(calls))
	keys = append(keys, k.log(), k.open(), k.due(), k.shelves())
	args = append(args, group, c.name, c.q.o.Retention.Milliseconds(), c.q.o.StateTTL.Milliseconds(), c.o.Lease.Milliseconds())
	var announced []string
	for _, s := range calls {
		from, to := c.q.move(s)
		announce := ""
		if name := s.to.name(); to != k.log() && !c.q.known.has(name) && !slices.Contains(announced, name) {
			announce, announced = name, append(announced, name)
		}
		keys = append(keys, k.entry(s.id), k.lock(s.key), k.state(s.key), from, to)
		args = append(args, s.id, s.token, s.kind, s.delay.Milliseconds(), s.state, announce, len(s.fields))
		args = append(args, s.fields...)
	}
	limit := 4 * time.Second
	if c.work.Err() != nil {
		limit = 500 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	reply, err := c.q.run(ctx, settleScript, keys, args...).StringSlice()
	if err == nil && len(reply) != len(calls) {
		err = fmt.Errorf("%d values for %d entries", len(reply), len(calls))
	}
	if err == nil {
		c.q.known.add(announced...)
		c.q.changes.Add(1)
	}
	for i, s := range calls {
		if err != nil {
			s.done <- settleResult{err: err}
			continue
		}
		if reply[i] == settledAndFreed {
			c.wakeDueLoop()
		}
		s.done <- settleResult{settled: reply[i] != settledNot}
	}
}

// move answers the shelves' keys that an entry leaves and enters; the log stands for none.
func (q *Queue) move(s *settleCall) (from, to string) {
	from, to = q.keys.log(), q.keys.log()
	if s.from == s.to {
		return from, to
	}
	if s.from != (shelf{}) {
		from = q.keys.shelf(s.from)
	}
	if s.to != (shelf{}) {
		to = q.keys.shelf(s.to)
	}
	return from, to
}

// buryGone ends an entry that waits but is no longer in the log: somebody else trimmed or deleted it.
func (c *Consumer) buryGone(id string) {
	d := &Delivery{EntryID: id, token: c.name + "#gone", Message: Message{ReceivedAt: arrival(id)}}
	v := c.verdict(d, Outcome{}, Permanent("payload_gone", fmt.Errorf("the log no longer holds entry %s", id)), 0)
	v.apply(&d.record, c.name)
	c.running.Go(func() {
		call := &settleCall{id: id, kind: "gone", to: d.shelf(), fields: d.record.fields(d.token, false), done: make(chan settleResult, 1)}
		if settled, ok := c.submit(call); ok && settled {
			c.metrics.settled(v)
			if c.o.Observer.Settled != nil {
				c.o.Observer.Settled(v.Settlement)
			}
		}
	})
}
