package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// twoEvents has one event that ended dead and one that ended tagged.
func twoEvents(t *testing.T) (s *stack, dead, tagged queue.Entry) {
	t.Helper()
	s = newStack(t, sandbox.Replace)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"plan": "gold"}}))
	s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{})
	s.seam.Fail(sandbox.Fault{Endpoint: updateEndpoint, Status: http.StatusBadRequest, Type: "invalid_input", Message: "no", Times: 1})
	dead = s.ended(s.deliver(o))
	tagged = s.ended(s.deliver(o))
	if dead.Status != queue.Dead || tagged.Status != queue.Tagged {
		t.Fatalf("ended %s and %s", dead.Status, tagged.Status)
	}
	return s, dead, tagged
}

func TestEventsAreListed(t *testing.T) {
	s, dead, tagged := twoEvents(t)
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"all":       {nil, []string{tagged.EntryID, dead.EntryID}},
		"dead":      {[]string{"--status", "dead"}, []string{dead.EntryID}},
		"reason":    {[]string{"--reason", "rejected", "--since", "1h"}, []string{dead.EntryID}},
		"account":   {[]string{"--account", dead.Key, "--limit", "0"}, []string{tagged.EntryID, dead.EntryID}},
		"limit":     {[]string{"--limit", "1"}, []string{tagged.EntryID}},
		"message":   {[]string{"--message", dead.ID}, []string{dead.EntryID}},
		"event":     {[]string{"--event", dead.EventID}, []string{tagged.EntryID, dead.EntryID}},
		"type":      {[]string{"--type", "nothing.happened"}, nil},
		"long gone": {[]string{"--until", "36h"}, nil},
	} {
		var ids []string
		for line := range strings.Lines(s.mustCommand(append([]string{"events", "list", "--json"}, tt.args...)...)) {
			var e struct{ ID string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatalf("%s: %s: %v", name, line, err)
			}
			ids = append(ids, e.ID)
		}
		if diff := cmp.Diff(tt.want, ids); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	text := s.mustCommand("events", "list")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "ID ") || strings.Fields(lines[2])[2] != "dead" || strings.Fields(lines[2])[3] != "rejected" {
		t.Errorf("the table:\n%s", text)
	}
}

func TestAnEventIsShownByAnyOfItsIDs(t *testing.T) {
	s, dead, tagged := twoEvents(t)
	text := s.mustCommand("events", "show", tagged.EntryID)
	for _, part := range []string{"tagged", tagged.Key, "plan  gold", "webview.custom_metadata", "1, in 1 delivery and 0 replays"} {
		if !strings.Contains(text, part) {
			t.Errorf("it lacks %q:\n%s", part, text)
		}
	}
	if text = s.mustCommand("events", "show", dead.ID); !strings.Contains(text, dead.EntryID) || !strings.Contains(text, "rejected") {
		t.Errorf("by message id:\n%s", text)
	}
	if text = s.mustCommand("events", "show", dead.EventID); !strings.Contains(text, tagged.EntryID) {
		t.Errorf("by event id, the latest:\n%s", text)
	}
	var e shownEvent
	if err := json.Unmarshal([]byte(s.mustCommand("events", "show", dead.EntryID, "--json")), &e); err != nil {
		t.Fatal(err)
	}
	if e.ID != dead.EntryID || e.Status != queue.Dead || e.EndedAt == nil || len(e.History) != 1 || e.History[0].Reason != "rejected" {
		t.Errorf("%+v", e)
	}
	if code, _, text := s.command("events", "show", "17-0"); code != exitFailed || !strings.Contains(text, `no event "17-0"`) {
		t.Errorf("no such event: %d %s", code, text)
	}
}

func TestTailShowsWhatArrivesAndHowItEnds(t *testing.T) {
	s, dead, tagged := twoEvents(t)
	out := &logBuffer{}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	p := Process{Environ: []string{"REDIS_URL=" + s.redis.URL()}, Stdout: out, Stderr: out}
	go func() { done <- tailEvents(ctx, p, eventsTailOptions{lines: 10, json: true}, 5*time.Millisecond) }()
	type line struct {
		ID, Status string
		Attempts   int
	}
	lines := func() (all []line) {
		for text := range strings.Lines(out.String()) {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			all = append(all, l)
		}
		return all
	}
	s.await("what was there is shown", func() bool { return len(lines()) == 2 })
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}))
	s.seam.Fail(sandbox.Fault{Endpoint: "/connected_accounts/get", Status: http.StatusServiceUnavailable})
	id := s.deliver(o)
	s.await("a failure is shown", func() bool { return len(lines()) > 2 && lines()[len(lines())-1].Status == "retrying" })
	s.seam.Heal()
	s.ended(id)
	s.await("its end is shown", func() bool { return lines()[len(lines())-1].Status == "unchanged" })
	stop()
	if err := <-done; err != nil {
		t.Errorf("tail: %v", err)
	}
	all := lines()
	if diff := cmp.Diff([]line{{dead.EntryID, "dead", 1}, {tagged.EntryID, "tagged", 1}}, all[:2]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, l := range all[2:] {
		if l.ID != id || l == all[i+1] {
			t.Errorf("line %d: %+v after %+v", i, l, all[i+1])
		}
	}
}

func TestWrongUseOfEvents(t *testing.T) {
	for _, args := range [][]string{
		{"list", "--status", "done"},
		{"list", "--limit", "-1"},
		{"list", "--since", "yesterday"},
		{"tail", "--lines", "-1"},
		{"tail", "--status", "x"},
		{"show"},
		{"show", "a", "b"},
		{"lst"},
	} {
		var out, errs logBuffer
		code := Run(t.Context(), Process{Args: append([]string{"events"}, args...), Stdout: &out, Stderr: &errs})
		if code != exitUsage || errs.String() == "" {
			t.Errorf("events %v: exit %d, %s", args, code, errs.String())
		}
	}
}
