package sandbox

import (
	"encoding/json"
	"slices"
	"time"

	"seamtag/seam"
)

func (s *Sandbox) getEvent(p params) (map[string]any, func(), *refusal) {
	var is issues
	id := p.required("event_id", &is)
	if no := is.refusal(); no != nil {
		return nil, nil, no
	}
	for _, o := range s.events {
		if o.Event.EventID == id {
			return map[string]any{"event": json.RawMessage(o.Body)}, nil, nil
		}
	}
	return nil, nil, notFound("event_not_found", "Event not found")
}

func (s *Sandbox) listEvents(p params) (map[string]any, func(), *refusal) {
	var is issues
	f := eventFilterOf(p, &is)
	limit := p.number("limit", 500, 1, &is)
	offset := p.number("unstable_offset", 0, 0, &is)
	if no := is.refusal(); no != nil {
		return nil, nil, no
	}
	found := make([]Occurrence, 0, len(s.events))
	for _, o := range slices.Backward(s.events) {
		if f.match(o.Event) {
			found = append(found, o)
		}
	}
	slices.SortStableFunc(found, func(a, b Occurrence) int { return b.Event.CreatedAt.Compare(a.Event.CreatedAt) })
	found = found[min(offset, len(found)):]
	found = found[:min(limit, len(found))]
	bodies := make([]json.RawMessage, 0, len(found))
	for _, o := range found {
		bodies = append(bodies, o.Body)
	}
	return map[string]any{"events": bodies}, nil, nil
}

// eventFilter is what /events/list was asked for. Both bounds are exclusive.
type eventFilter struct {
	after, before               time.Time
	account, webview, eventType string
	eventTypes, ids             []string
}

func eventFilterOf(p params, is *issues) eventFilter {
	f := eventFilter{
		after:      p.time("since", is),
		account:    p.text("connected_account_id", is),
		webview:    p.text("connect_webview_id", is),
		eventType:  p.text("event_type", is),
		eventTypes: p.texts("event_types", is),
		ids:        p.texts("event_ids", is),
	}
	between := p.texts("between", is)
	switch {
	case p["since"] == nil && p["between"] == nil:
		is.add("Must specify either since or between")
	case p["since"] != nil && p["between"] != nil:
		is.add("Cannot specify both since and between")
	case p["between"] != nil && len(between) != 2:
		is.add("Array must contain 2 element(s)", "between")
	case p["between"] != nil:
		f.after, f.before = parseTime(between[0], "between", is), parseTime(between[1], "between", is)
		if !f.before.After(f.after) {
			is.add("second value must be greater than first value", "between")
		}
	}
	return f
}

func (f eventFilter) match(ev seam.Event) bool {
	switch {
	case !ev.CreatedAt.After(f.after):
		return false
	case !f.before.IsZero() && !ev.CreatedAt.Before(f.before):
		return false
	case f.account != "" && ev.ConnectedAccountID != f.account:
		return false
	case f.webview != "" && ev.ConnectWebviewID != f.webview:
		return false
	case f.eventType != "" && ev.EventType != f.eventType:
		return false
	case f.eventTypes != nil && !slices.Contains(f.eventTypes, ev.EventType):
		return false
	default:
		return f.ids == nil || slices.Contains(f.ids, ev.EventID)
	}
}
