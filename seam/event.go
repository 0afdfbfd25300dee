package seam

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The event types this service acts on. Both carry the account; the second always carries its webview as well.
const (
	TypeAccountConnected = "connected_account.connected"
	TypeLoginSucceeded   = "connect_webview.login_succeeded"
)

// maxIDLength is the longest id, in characters, that an event may carry. Seam's are UUIDs of 36; its fake's are
// free strings. Ids become Redis keys, so there is an end somewhere.
const maxIDLength = 200

var errTrailing = errors.New("text after the JSON value")

// Event is one event as Seam sends it to a webhook and lists it at /events/list: flat JSON without an envelope.
type Event struct {
	EventID            string
	EventType          string
	WorkspaceID        string // empty when the event does not say
	ConnectedAccountID string // empty for events about something else
	ConnectWebviewID   string // optional even for connected_account.connected
	CustomerKey        string
	CreatedAt          time.Time      // one of CreatedAt and OccurredAt stands in for the other where that is missing
	OccurredAt         time.Time      //
	AccountMetadata    Metadata       // connected_account_custom_metadata, nil when absent
	Raw                map[string]any // the whole object, for rule expressions; numbers are json.Number
}

// MalformedEventError says why a body is not an event this service can act on. It never quotes the body.
type MalformedEventError struct {
	Field   string // the JSON field at fault, empty when it is the body as a whole
	Problem string
}

// Error names the field and what is wrong with it.
func (e *MalformedEventError) Error() string {
	if e.Field == "" {
		return "malformed event: " + e.Problem
	}
	return "malformed event: " + e.Field + " " + e.Problem
}

// ParseEvent reads one event. Every error is a *MalformedEventError.
//
// Required are event_id, event_type and a timestamp, and connected_account_id where the type promises one
// (connected_account.* and connect_webview.login_succeeded). Ids are free strings of at most 200 characters without
// control characters; timestamps are RFC 3339 of any precision. A null counts as absent.
func ParseEvent(body []byte) (Event, error) {
	ev, err := ParseHead(body)
	if err != nil {
		return Event{}, err
	}
	if err := decodeNumbers(body, &ev.Raw); err != nil {
		return Event{}, &MalformedEventError{Problem: "is not one JSON object"}
	}
	if ev.Raw[metadataField] != nil {
		ev.AccountMetadata, _ = metadataOf(ev.Raw, metadataField) // ParseHead has seen that it is an object
	}
	return ev, nil
}

const metadataField = "connected_account_custom_metadata"

// ParseHead is ParseEvent for who only files the event: it accepts and refuses the same bodies, and leaves AccountMetadata
// and Raw out, which is what most of the time goes into. The event shares no memory with the body.
func ParseHead(body []byte) (Event, error) {
	if !utf8.Valid(body) {
		return Event{}, &MalformedEventError{Problem: "is not UTF-8"}
	}
	object, ok := scanObject(body, make(members, 0, 16))
	if !ok {
		return Event{}, &MalformedEventError{Problem: "is not one JSON object"}
	}
	f := fields{object: object}
	ev := Event{
		EventID:            f.id("event_id"),
		EventType:          f.id("event_type"),
		WorkspaceID:        f.optionalID("workspace_id"),
		ConnectWebviewID:   f.optionalID("connect_webview_id"),
		ConnectedAccountID: f.optionalID("connected_account_id"),
		CustomerKey:        f.text("customer_key"),
		CreatedAt:          f.time("created_at"),
		OccurredAt:         f.time("occurred_at"),
	}
	if md := f.object.get(metadataField); md != nil && md[0] != '{' {
		f.fail(metadataField, "is not an object")
	}
	ev.completeTimes(&f)
	if ev.ConnectedAccountID == "" && needsAccount(ev.EventType) {
		f.fail("connected_account_id", "is missing")
	}
	if f.problem != nil {
		return Event{}, f.problem
	}
	return ev, nil
}

func (ev *Event) completeTimes(f *fields) {
	switch {
	case ev.OccurredAt.IsZero() && ev.CreatedAt.IsZero():
		f.fail("occurred_at", "is missing, and created_at too")
	case ev.OccurredAt.IsZero():
		ev.OccurredAt = ev.CreatedAt
	case ev.CreatedAt.IsZero():
		ev.CreatedAt = ev.OccurredAt
	}
}

func needsAccount(eventType string) bool {
	return strings.HasPrefix(eventType, "connected_account.") || eventType == TypeLoginSucceeded
}

// fields reads one object field by field and remembers the first problem.
type fields struct {
	object  members
	problem *MalformedEventError
}

func (f *fields) fail(field, problem string) {
	if f.problem == nil {
		f.problem = &MalformedEventError{Field: field, Problem: problem}
	}
}

func (f *fields) text(field string) string {
	v := f.object.get(field)
	if v == nil {
		return ""
	}
	if v[0] != '"' {
		f.fail(field, "is not a string")
		return ""
	}
	return string(unquote(v))
}

func (f *fields) id(field string) string {
	if f.object.get(field) == nil {
		f.fail(field, "is missing")
		return ""
	}
	return f.optionalID(field)
}

func (f *fields) optionalID(field string) string {
	if f.object.get(field) == nil {
		return ""
	}
	s := f.text(field)
	switch {
	case s == "":
		f.fail(field, "is empty")
	case utf8.RuneCountInString(s) > maxIDLength:
		f.fail(field, "is over 200 characters long")
	case strings.ContainsFunc(s, unicode.IsControl):
		f.fail(field, "holds a control character")
	}
	return s
}

func (f *fields) time(field string) time.Time {
	s := f.text(field)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		f.fail(field, "is not an RFC 3339 timestamp")
	}
	return t
}

// EventQuery narrows /events/list. Seam demands a beginning: a zero Since means the beginning of its retention.
// Both bounds are exclusive.
type EventQuery struct {
	AccountID string
	Type      string
	Types     []string
	Since     time.Time
	Until     time.Time // zero: no end
	Limit     int       // 0: Seam's default of 500
	Offset    int       // sent as unstable_offset: events that arrive meanwhile shift the pages
}

// Events lists events in the order Seam gives them, newest first in production. Elements that are not events
// ParseEvent accepts are left out.
func (c *Client) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	events, _, err := c.events(ctx, q)
	return events, err
}

// events also tells how many elements there were, with those left out.
func (c *Client) events(ctx context.Context, q EventQuery) (events []Event, received int, err error) {
	var answer struct {
		Events []json.RawMessage `json:"events"`
	}
	const endpoint = "/events/list"
	if err := c.call(ctx, endpoint, q.body(), "events", &answer); err != nil {
		return nil, 0, err
	}
	events = make([]Event, 0, len(answer.Events))
	for _, raw := range answer.Events {
		if ev, err := ParseEvent(raw); err == nil {
			events = append(events, ev)
		}
	}
	return events, len(answer.Events), nil
}

func (q EventQuery) body() map[string]any {
	body := map[string]any{}
	since := q.Since
	if since.IsZero() {
		since = time.Unix(0, 0)
	}
	if q.Until.IsZero() {
		body["since"] = timestamp(since)
	} else {
		body["between"] = []string{timestamp(since), timestamp(q.Until)}
	}
	setText(body, "connected_account_id", q.AccountID)
	setText(body, "event_type", q.Type)
	setNumber(body, "limit", q.Limit)
	setNumber(body, "unstable_offset", q.Offset)
	if len(q.Types) > 0 {
		body["event_types"] = q.Types
	}
	return body
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
