package lookup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrMissing is what a Source answers when the system is well and has nothing: no row, a 404, an absent key.
var ErrMissing = errors.New("lookup found nothing")

// ErrClosed is the answer of a Lookup that was closed, as happens to the old set of lookups after a reload.
var ErrClosed = errors.New("lookup is closed")

// Kind says what may help against an Error.
type Kind int

// The kinds. All but Permanent may pass by themselves; only Transport is tried again within one Ask.
const (
	Permanent   Kind = iota // asking again brings the same: a bad query, a 400, a body that is not JSON
	Transport               // the system was not reached or the connection broke
	Unavailable             // the system answered that it cannot now: 5xx, 429, too many connections
	Timeout                 // no answer in time, or no free slot in time
	Open                    // the circuit breaker is open: nobody was asked
	Busy                    // too many callers wait already: nobody was asked
)

// Error is a failed ask. Its text holds no value, no secret and no address beyond a host name.
type Error struct {
	System     string        // sql, http, redis or table
	Lookup     string        // the name in the rules file; empty until a Lookup sets it
	Kind       Kind          // what may help
	Detail     string        // such as "503 from crm.internal"
	RetryAfter time.Duration // how long the system asked to be left alone; 0 when it did not say
}

// Error reads "http lookup crm: 503 from crm.internal".
func (e *Error) Error() string {
	text := "lookup"
	if e.System != "" {
		text = e.System + " lookup"
	}
	if e.Lookup != "" {
		text += " " + e.Lookup
	}
	return text + ": " + e.Detail
}

// Is lets errors.Is(err, context.DeadlineExceeded) find a timeout.
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && e.Kind == Timeout
}

// Transient reports whether the same ask may succeed later without anybody changing the rules or the data.
func (e *Error) Transient() bool { return e.Kind != Permanent }

// IsTransient reports whether err is an Error that may pass by itself.
func IsTransient(err error) bool {
	lookupErr, ok := errors.AsType[*Error](err)
	return ok && lookupErr.Transient()
}

// isFailure reports whether err says that the system, not the question, is at fault: what the breaker counts.
func isFailure(err error) bool {
	lookupErr, ok := errors.AsType[*Error](err)
	return ok && lookupErr.Transient() && lookupErr.Kind != Open
}

func permanent(system, format string, args ...any) *Error {
	return &Error{System: system, Kind: Permanent, Detail: fmt.Sprintf(format, args...)}
}
