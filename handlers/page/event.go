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
	NoResult string // why there are no changes to show
	Dropped  []string
	Payload  string
	Reveal   bool
	Link     string // to the other way of showing it
}

// keyChange is what became of one key of the metadata.
type keyChange struct {
	Key, What, Before, After, Source string
	HasBefore, HasAfter              bool
	NoBefore, NoAfter                string // what is shown instead
}

// The words for what became of a key.
const (
	keySet      = "set"
	keyRemoved  = "removed"
	keyRestored = "restored"
)

// What is said where there is no value to show.
const (
	absent  = "not there"
	notKept = "not kept"
)

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

// readResult lists what the worker kept of its result.
func (v *eventView) readResult(e queue.Entry) {
	var result struct {
		Set      map[string]any    `json:"set"`
		Removed  []string          `json:"removed"`
		Restored []string          `json:"restored"`
		Sources  map[string]string `json:"sources"`
		Dropped  []string          `json:"dropped"`
	}
	switch {
	case !e.Status.Ended():
		v.NoResult = "Not known yet: the event has not ended."
		return
	case len(e.Result) == 0:
		v.NoResult = "Nothing was written."
		return
	}
	dec := json.NewDecoder(bytes.NewReader(e.Result))
	dec.UseNumber()
	if err := dec.Decode(&result); err != nil {
		v.NoResult = "Unknown: what was kept of it cannot be read."
		return
	}
	v.Dropped = result.Dropped
	for _, key := range slices.Sorted(maps.Keys(result.Set)) {
		v.Changes = append(v.Changes, keyChange{
			Key: key, What: keySet, NoBefore: notKept, After: shown(key, result.Set[key], v.Reveal), HasAfter: true,
			Source: result.Sources[key],
		})
	}
	for _, key := range result.Restored {
		v.Changes = append(v.Changes, keyChange{Key: key, What: keyRestored, NoBefore: absent, NoAfter: notKept, Source: result.Sources[key]})
	}
	for _, key := range result.Removed {
		v.Changes = append(v.Changes, keyChange{
			Key: key, What: keyRemoved, NoBefore: notKept, NoAfter: absent, Source: "no rule gives it any more",
		})
	}
	if len(v.Changes) == 0 {
		v.NoResult = "Nothing had to be written: the account was as it should be."
	}
}

// Attempts says how many there were, and since when they are counted.
func (v *eventView) Attempts() string {
	text := plural(int64(v.Entry.Attempts), "attempt", "attempts")
	if v.Entry.Replays > 0 {
		text += fmt.Sprintf(" since the last of %s", plural(int64(v.Entry.Replays), "replay", "replays"))
	}
	return text
}
