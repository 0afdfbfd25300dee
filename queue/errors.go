package queue

import (
	"errors"
	"fmt"
	"time"
)

// ErrUnavailable is what Publish answers when Redis did not accept a message: away, full, or too slow.
var ErrUnavailable = errors.New("queue: redis did not accept the message")

// ErrLeaseLost is what Fence answers once another worker may hold the entry.
var ErrLeaseLost = errors.New("queue: the lease of this entry was lost")

// ErrNotFound is what the Inspector answers for an entry that the log does not hold.
var ErrNotFound = errors.New("queue: no such entry")

// instruction is a handler's error that says what is to follow. Any other error backs off.
type instruction struct {
	kind   instructionKind
	reason string
	delay  time.Duration
	err    error
}

type instructionKind int

const (
	backOff instructionKind = iota
	bury
	later
	pause
)

func (i *instruction) Error() string {
	if i.err == nil {
		return i.reason
	}
	return i.err.Error()
}

func (i *instruction) Unwrap() error { return i.err }

// Permanent buries the entry: it ends dead for the given reason, a short word that is also a metric label.
func Permanent(reason string, err error) error {
	return &instruction{kind: bury, reason: reason, err: err}
}

// After waits for d before the next attempt, an hour at most, and otherwise counts as a failure like any other.
func After(d time.Duration, reason string, err error) error {
	return &instruction{kind: later, reason: reason, delay: d, err: err}
}

// Backoff names the reason of a failure that backs off.
func Backoff(reason string, err error) error {
	return &instruction{kind: backOff, reason: reason, err: err}
}

// Pause stops all work of this process until a probe succeeds; the entry itself is given back as if never started.
func Pause(reason string, err error) error {
	return &instruction{kind: pause, reason: reason, err: err}
}

func instructionOf(err error) *instruction {
	if i, ok := errors.AsType[*instruction](err); ok {
		return i
	}
	return &instruction{kind: backOff, reason: "error", err: err}
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// StatusAfter is where an entry stands after a handler's error: Dead, Queued for a pause, else Retrying.
func StatusAfter(err error) Status {
	switch instructionOf(err).kind {
	case bury:
		return Dead
	case pause:
		return Queued
	case backOff, later:
	}
	return Retrying
}

// ReasonOf is the reason of an instruction, "error" for any other error.
func ReasonOf(err error) string { return instructionOf(err).reason }
