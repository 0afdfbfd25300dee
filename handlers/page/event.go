package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"seamtag/queue"
)

// eventView is one event.
type eventView struct {
	Entry    queue.Entry
	Changes  []keyChange
	Lookups  []Lookup
	NoResult string // why there are no changes to show
	Dropped  []string
	Payload  string
	Reveal   bool
	Link     string // to the other way of showing it
}

func (p *Page) event(r *http.Request, _ *session) (answer, error) {
	e, err := p.o.Queue.Entry(r.Context(), r.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	reveal := r.URL.Query().Get("show") == "all"
	if reveal {
		p.o.Log.Info().Str("entry_id", e.EntryID).Msg("the payload of an event was shown in full on the page")
	}
	v := eventView{Entry: e, Payload: payload(e.Body, reveal), Reveal: reveal, Link: "/events/" + e.EntryID}
	if !reveal {
		v.Link += "?show=all"
	}
	v.readResult(e)
	return answer{look: "event", title: "Event " + e.EntryID, nav: navEvents, follow: "/live?event=" + e.EntryID, data: &v}, nil
}

// result is what the worker kept of its work. Keys and lookups are there where rules computed tags.
type result struct {
	Set      map[string]any    `json:"set"`
	Removed  []string          `json:"removed"`
	Restored []string          `json:"restored"`
	Sources  map[string]string `json:"sources"`
	Dropped  []string          `json:"dropped"`
	Keys     []Key             `json:"keys"`
	Lookups  []Lookup          `json:"lookups"`
}

// readResult lists what the worker kept of its result.
func (v *eventView) readResult(e queue.Entry) {
	switch {
	case !e.Status.Ended():
		v.NoResult = "Not known yet: the event has not ended."
		return
	case len(e.Result) == 0:
		v.NoResult = "Nothing was written."
		return
	}
	var r result
	dec := json.NewDecoder(bytes.NewReader(e.Result))
	dec.UseNumber()
	if err := dec.Decode(&r); err != nil {
		v.NoResult = "Unknown: what was kept of it cannot be read."
		return
	}
	v.Dropped, v.Lookups = r.Dropped, r.Lookups
	v.Changes = r.changes(v.Reveal)
	if len(v.Changes) == 0 {
		v.NoResult = "Nothing had to be written: the account was as it should be."
	}
}

// changes are the keys with all that is known of them. Values of keys that other systems own are not kept with an event.
func (r *result) changes(reveal bool) []keyChange {
	var all []keyChange
	told := map[string]bool{}
	for i := range r.Keys {
		k := &r.Keys[i]
		if k.After == nil {
			k.After = r.Set[k.Key]
		}
		none := notKept
		if k.Owned {
			none = absent
		}
		told[k.Key] = true
		all = append(all, k.shown(reveal, none))
	}
	add := func(key, what string) {
		if told[key] {
			return
		}
		k := Key{Key: key, Change: what, After: r.Set[key], Source: r.Sources[key]}
		all = append(all, k.shown(reveal, notKept))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Set)) {
		add(key, keySet)
	}
	for _, key := range r.Restored {
		add(key, keyRestored)
	}
	for _, key := range r.Removed {
		add(key, keyRemoved)
	}
	return all
}

// Attempts says how many there were, and since when they are counted.
func (v *eventView) Attempts() string {
	text := plural(int64(v.Entry.Attempts), "attempt", "attempts")
	if v.Entry.Replays > 0 {
		text += fmt.Sprintf(" since the last of %s", plural(int64(v.Entry.Replays), "replay", "replays"))
	}
	return text
}
