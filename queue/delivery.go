package queue

import (
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"time"
)

// Delivery is one entry handed to a handler, with what is remembered of it and of its key.
type Delivery struct {
	Message

	EntryID string
	State   []byte // the state of the message's key; nil where there is none
	Attempt int    // which attempt this is, from 1; a replay starts anew

	record   record
	fresh    bool // no record was there before
	lease    time.Duration
	token    string
	extended atomic.Int64 // wall clock in ns when the lease was last extended, before the call that did
	since    time.Time    // the same instant, with its monotonic reading, of the first extension
	mono     atomic.Int64 // ns after since of the last extension
	cancel   context.CancelCauseFunc
	poison   bool
	waited   bool // it was due, not new
}

// Outcome is how an entry ended.
type Outcome struct {
	Status Status          // Tagged, Unchanged or Skipped
	Reason string          // short word for skipped, a metric label; empty otherwise
	Result json.RawMessage // shown with the entry; never interpreted here
	State  []byte          // the key's new state; nil keeps what is there. Kept with an error too.
}

// Fence answers ErrLeaseLost once another worker may hold this entry or its key: call it right before an effect. A quarter
// of the lease is kept in hand for the effect itself. Both clocks count, as one stops while a machine sleeps.
func (d *Delivery) Fence() error {
	limit := d.lease - d.lease/4
	now := time.Now()
	if now.Sub(d.since)-time.Duration(d.mono.Load()) > limit || now.UnixNano()-d.extended.Load() > int64(limit) {
		return ErrLeaseLost
	}
	return nil
}

// dueCount is the delivery's part in the count of entries in flight that were due.
func (d *Delivery) dueCount() int {
	if d.waited {
		return 1
	}
	return 0
}

func (d *Delivery) noteExtended(asked time.Time) {
	d.mono.Store(int64(asked.Sub(d.since)))
	d.extended.Store(asked.UnixNano())
}

// shelf is where the entry stands as its record says; none while it is queued.
func (d *Delivery) shelf() shelf {
	if d.record.Status == "" || d.record.Status == Queued {
		return shelf{}
	}
	return shelf{d.record.Status, d.record.Reason, d.Type}
}

func (d *Delivery) lockToken() string {
	if d.Key == "" {
		return ""
	}
	return d.token
}

// record is what the entry's hash holds.
type record struct {
	Status      Status
	Reason      string
	Error       string
	Attempts    int       // outcomes since the last replay, failures included
	Deliveries  int       // times that work started, ever
	Replays     int       // times that an ended entry was put back to work
	FirstFailed time.Time // of the failures in a row; zero where the last outcome was none
	EndedAt     time.Time
	Result      json.RawMessage
	History     []Attempt // oldest first, the last maxHistory
}

// Attempt is one outcome of an entry, kept with it.
type Attempt struct {
	At     time.Time `json:"at"`
	TookMS int64     `json:"took_ms"`
	Status Status    `json:"status"`
	Reason string    `json:"reason,omitempty"`
	Error  string    `json:"error,omitempty"`
	Worker string    `json:"worker,omitempty"`
}

const maxHistory = 20

func parseRecord(m map[string]string) record {
	r := record{
		Status: Status(m["status"]), Reason: m["reason"], Error: m["error"],
		Attempts: atoi(m["attempts"]), Deliveries: atoi(m["deliveries"]), Replays: atoi(m["replays"]),
		FirstFailed: millis(m["first_failed_at"]), EndedAt: millis(m["ended_at"]),
	}
	if s := m["result"]; s != "" {
		r.Result = json.RawMessage(s)
	}
	if s := m["history"]; s != "" {
		_ = json.Unmarshal([]byte(s), &r.History) // our own writing; a damaged history is no reason to stop
	}
	if r.Status == "" {
		r.Status = Queued
	}
	return r
}

// fields is the record as HSET takes it. The first pair names who settled, for a repetition to recognise itself. Where the
// entry has no record yet, what is empty is left out.
func (r *record) fields(token string, fresh bool) []any {
	history, err := json.Marshal(r.History)
	if err != nil {
		history = []byte("[]") // cannot happen: plain strings and numbers
	}
	f := []any{
		"settled_by", token, "status", string(r.Status), "attempts", r.Attempts, "deliveries", r.Deliveries, "history", history,
	}
	if !fresh || r.Reason != "" || r.Error != "" {
		f = append(f, "reason", r.Reason, "error", r.Error)
	}
	if !fresh || !r.FirstFailed.IsZero() {
		f = append(f, "first_failed_at", unixMilli(r.FirstFailed))
	}
	if !fresh || !r.EndedAt.IsZero() {
		f = append(f, "ended_at", unixMilli(r.EndedAt))
	}
	if r.Result != nil {
		f = append(f, "result", []byte(r.Result))
	}
	return f
}

func (r *record) remember(a Attempt) {
	r.History = append(r.History, a)
	if extra := len(r.History) - maxHistory; extra > 0 {
		r.History = r.History[extra:]
	}
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

func millis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
