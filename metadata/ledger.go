package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"seamtag/seam"
)

const (
	ledgerVersion = 1
	// maxGiven bounds Ledger.Given: what two full webviews can hold.
	maxGiven = 2 * maxKeys
)

var errTrailing = errors.New("text after the object")

// Ledger is what seamtag remembers of one account between events. It is a value: nothing here changes one in place.
// The zero ledger knows nothing. Its caller keeps it and hands it in with the next event of that account.
type Ledger struct {
	Version    int            `json:"v"`
	OccurredAt time.Time      `json:"occurred_at"` // of the latest event seen; never goes back
	EventID    string         `json:"event_id"`    // of that event
	Owned      map[string]any `json:"owned,omitempty"`
	// Pending are tags that an update was to write whose outcome is not known. A present value that is among them is
	// ours as well.
	Pending  map[string]any `json:"pending,omitempty"`
	Snapshot seam.Metadata  `json:"snapshot,omitempty"` // the whole metadata, as last seen
	Given    []string       `json:"given,omitempty"`    // keys of copy that have had their chance; sorted
	Origin   *Sighting      `json:"origin,omitempty"`
	Latest   *Sighting      `json:"latest,omitempty"` // without an object when it is the origin
	Missing  *Missing       `json:"missing,omitempty"`
}

// Sighting is a webview known to have connected the account, and when. Seam's webviews do not change, so the object
// is kept: rules can name it without another call.
type Sighting struct {
	ID     string         `json:"id"`
	At     time.Time      `json:"at"`
	Object map[string]any `json:"object,omitempty"` // as Seam answered it, without its sign-in link
}

// Missing is a loss that an event saw which was no reconnect of its own. Should the event of a reconnect that happened
// before SeenAt come later, then this tells what it wiped.
type Missing struct {
	Values seam.Metadata `json:"values"`         // remembered keys that were gone
	Left   []string      `json:"left,omitempty"` // remembered keys that were still there; sorted
	SeenAt time.Time     `json:"seen_at"`        // by our clock
}

// ParseLedger reads what Encode wrote. Nothing gives the zero ledger. Errors do not quote the input.
func ParseLedger(data []byte) (Ledger, error) {
	if len(data) == 0 {
		return Ledger{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var l Ledger
	if err := dec.Decode(&l); err != nil {
		return Ledger{}, fmt.Errorf("parse ledger: not one JSON object of ours (%d bytes)", len(data))
	}
	if dec.More() {
		return Ledger{}, fmt.Errorf("parse ledger: %w", errTrailing)
	}
	if l.Version != ledgerVersion {
		return Ledger{}, fmt.Errorf("parse ledger: version %d, this program knows %d", l.Version, ledgerVersion)
	}
	slices.Sort(l.Given) // it is searched
	return l, nil
}

// stamp is t in UTC, within the years that JSON can hold.
func stamp(t time.Time) time.Time {
	t = t.UTC()
	if t.Year() > 9999 {
		return time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	}
	if t.Year() < 0 {
		return time.Time{}
	}
	return t
}

// Encode writes the ledger as JSON, the same bytes for the same ledger.
func (l Ledger) Encode() []byte {
	l.Version = ledgerVersion
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		// All it holds came out of JSON or out of textOf. The error's text could quote a value, so it is not shown.
		panic("metadata: a ledger that is not JSON")
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

func (l Ledger) isZero() bool { return l.OccurredAt.IsZero() }

// isNews tells that the event is newer than all the ledger has seen.
func (l Ledger) isNews(ev seam.Event) bool { return !l.isZero() && ev.OccurredAt.After(l.OccurredAt) }

// isOld tells that the ledger has seen something newer than the event.
func (l Ledger) isOld(ev seam.Event) bool { return !l.isZero() && ev.OccurredAt.Before(l.OccurredAt) }

// wrote tells whether value is what seamtag itself put at key.
func (l Ledger) wrote(key string, value any) bool {
	if own, ok := l.Owned[key]; ok && equal(own, value) {
		return true
	}
	pending, ok := l.Pending[key]
	return ok && equal(pending, value)
}

// remembers tells whether key was there when the account was last seen, or had its chance before.
func (l Ledger) remembers(key string) bool {
	if l.Snapshot[key] != nil {
		return true
	}
	_, given := slices.BinarySearch(l.Given, key)
	return given
}

// knows tells whether the webview is one the ledger has seen.
func (l Ledger) knows(webviewID string) bool {
	return l.Origin != nil && l.Origin.ID == webviewID || l.Latest != nil && l.Latest.ID == webviewID
}

// sight makes a sighting out of a webview. The sign-in link is left out: it would be a credential kept for nothing.
func sight(w *seam.Webview, at time.Time) *Sighting {
	object := maps.Clone(w.Raw)
	if object == nil {
		object = map[string]any{"connect_webview_id": w.ID}
		if w.CustomerKey != "" {
			object["customer_key"] = w.CustomerKey
		}
	}
	delete(object, "url")
	object[fieldMetadata] = map[string]any(w.Metadata)
	return &Sighting{ID: w.ID, At: stamp(at), Object: object}
}

// metadata is the webview's custom_metadata, nil without an object.
func (s *Sighting) metadata() seam.Metadata {
	if s == nil {
		return nil
	}
	switch md := s.Object[fieldMetadata].(type) {
	case map[string]any:
		return md
	case seam.Metadata:
		return md
	default:
		return nil
	}
}

// before orders sightings by time, and by id where two are of the same instant.
func (s *Sighting) before(other *Sighting) bool {
	if s.At.Equal(other.At) {
		return s.ID < other.ID
	}
	return s.At.Before(other.At)
}
