package sandbox

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong from now on. The first that matches a call is used.
type Fault struct {
	Endpoint    string // such as "/connected_accounts/get"; "" is every one
	OnlyAccount string // only calls that name this account
	Times       int    // how often it happens; 0: until Heal

	Latency        time.Duration // waited first; alone, the call is answered as usual afterwards
	DropConnection bool          // closed without an answer
	Status         int           // answered instead, with the rest below
	Type, Message  string        // in Seam's envelope when Type is set
	Body           string        // otherwise verbatim
	RetryAfter     time.Duration // in the header, in whole seconds, rounded up
}

// Fail lets calls go wrong as the fault says.
func (s *Sandbox) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal ends all faults.
func (s *Sandbox) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault takes the fault of a call, if there is one.
func (s *Sandbox) fault(endpoint, accountID string) (Fault, bool) {
	for i, f := range s.faults {
		if f.Endpoint != "" && f.Endpoint != endpoint || f.OnlyAccount != "" && f.OnlyAccount != accountID {
			continue
		}
		if f.Times == 1 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		} else if f.Times > 1 {
			f.Times--
		}
		return *f, true
	}
	return Fault{}, false
}

// play acts the fault out and says whether that was the answer.
func (f Fault) play(w http.ResponseWriter, r *http.Request) bool {
	if f.Latency > 0 {
		timer := time.NewTimer(f.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return true
		}
	}
	if f.DropConnection {
		panic(http.ErrAbortHandler) // net/http's way to close a connection without an answer
	}
	if f.Status == 0 {
		return false
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if f.Type != "" {
		refuse(w, &refusal{Status: f.Status, Type: f.Type, Message: f.Message})
		return true
	}
	w.Header().Set("Content-Type", contentType(f.Body))
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body)) // a client that has gone away is its own affair
	return true
}

func contentType(body string) string {
	switch {
	case json.Valid([]byte(body)):
		return "application/json; charset=utf-8"
	case strings.HasPrefix(body, "<"):
		return "text/html; charset=utf-8"
	default:
		return "text/plain; charset=utf-8"
	}
}
