package handlers

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	svix "github.com/svix/svix-webhooks/go"
)

const (
	shortestSecret = 16 // bytes, decoded
	longestID      = 256
	tolerance      = 300 // seconds, either way, as Svix has it
)

// What can be wrong with a request's headers, as its sender is told.
var (
	errIncomplete = errors.New("headers: svix-id, svix-timestamp and svix-signature are needed (or webhook-id, …), each once")
	errID         = errors.New("headers: the message id is not 1 to 256 printable ASCII characters")
	errNotATime   = errors.New("headers: the timestamp is not a number of seconds")
	errTime       = errors.New("time: the timestamp is more than 5 minutes off")
	errSignature  = errors.New("signature: none matches")
)

// names are the headers of one set, in canonical form.
type names struct{ id, timestamp, signature string }

// nameSets are Svix's own names and those of Standard Webhooks.
func nameSets() [2]names {
	return [2]names{
		{"Svix-Id", "Svix-Timestamp", "Svix-Signature"},
		{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"},
	}
}

// envelope is one complete set of headers.
type envelope struct {
	id        string
	timestamp int64       // Unix seconds
	headers   http.Header // this set alone: the library mixes sets where it sees both
}

// Verifier holds the secrets a sender may sign with; more than one during a rotation.
type Verifier struct {
	webhooks []*svix.Webhook
}

// NewVerifier takes secrets as Svix shows them (whsec_…) or as base64. An error names the position of the wrong one and
// never the secret.
func NewVerifier(secrets []string) (*Verifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no webhook secret given")
	}
	v := &Verifier{}
	for i, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return nil, fmt.Errorf("webhook secret %d of %d is not base64", i+1, len(secrets))
		}
		if len(key) < shortestSecret {
			return nil, fmt.Errorf("webhook secret %d of %d has %d bytes, at least %d are needed", i+1, len(secrets), len(key), shortestSecret)
		}
		w, err := svix.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("webhook secret %d of %d: %w", i+1, len(secrets), err)
		}
		v.webhooks = append(v.webhooks, w)
	}
	return v, nil
}

// envelopes are the header sets that are complete and well formed, Svix's names first; none is an error that says what
// is wrong with the best of them. A half or broken set beside a good one is as if it were not there.
func envelopes(h http.Header) (sets [2]envelope, n int, err error) {
	err = errIncomplete
	for _, names := range nameSets() {
		set, bad := open(h, names)
		switch {
		case bad == nil:
			sets[n] = set
			n++
		case errors.Is(err, errIncomplete):
			err = bad
		}
	}
	if n > 0 {
		return sets, n, nil
	}
	return sets, 0, err
}

func open(h http.Header, names names) (envelope, error) {
	id, timestamp, signature := h[names.id], h[names.timestamp], h[names.signature]
	if !single(id) || !single(timestamp) || !single(signature) {
		return envelope{}, errIncomplete
	}
	if !isID(id[0]) {
		return envelope{}, errID
	}
	seconds, err := strconv.ParseInt(timestamp[0], 10, 64)
	if err != nil {
		return envelope{}, errNotATime
	}
	alone := http.Header{names.id: id, names.timestamp: timestamp, names.signature: signature}
	return envelope{id: id[0], timestamp: seconds, headers: alone}, nil
}

func single(values []string) bool { return len(values) == 1 && values[0] != "" }

func isID(id string) bool {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) <= longestID
}

// verify returns the id of the first set that is on time and signed with any of the secrets.
func (v *Verifier) verify(sets []envelope, body []byte, now time.Time) (string, error) {
	err := errTime
	for _, set := range sets {
		if set.timestamp < now.Unix()-tolerance || set.timestamp > now.Unix()+tolerance {
			continue
		}
		for _, w := range v.webhooks {
			if w.VerifyIgnoringTimestamp(body, set.headers) == nil { // the time was checked, by a clock that is injected
				return set.id, nil
			}
		}
		err = errSignature
	}
	return "", err
}
