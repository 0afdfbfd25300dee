package seam_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// historyOf visits all events of a type and fails on one that comes twice.
func historyOf(t *testing.T, client *seam.Client, since, until time.Time) []seam.Event {
	t.Helper()
	var all []seam.Event
	seen := map[string]bool{}
	last := since
	err := client.EachEvent(t.Context(), seam.EventQuery{Types: []string{seam.TypeAccountConnected}, Since: since, Until: until},
		func(events []seam.Event, reached time.Time) error {
			if reached.Before(last) || reached.After(until) {
				t.Errorf("reached %s after %s", reached, last)
			}
			last = reached
			for _, ev := range events {
				if seen[ev.EventID] {
					t.Errorf("event %s came twice", ev.EventID)
				}
				seen[ev.EventID] = true
			}
			all = append(all, events...)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sandboxClient(t *testing.T, box *sandbox.Sandbox) *seam.Client {
	t.Helper()
	server := httptest.NewServer(box)
	t.Cleanup(server.Close)
	client, err := seam.New(seam.Options{APIKey: box.APIKey(), Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestEachEventPagesThroughOneWindow(t *testing.T) {
	box := sandbox.New(sandbox.Options{})
	for n := range 1203 {
		box.Connect("", sandbox.AccountID(fmt.Sprintf("a%d", n)), sandbox.At(testNow.Add(-time.Duration(n)*time.Second)))
	}
	client := sandboxClient(t, box)
	if n := len(historyOf(t, client, testNow.Add(-12*time.Hour), testNow.Add(time.Second))); n != 1203 {
		t.Errorf("%d events, want 1203", n)
	}
	if n := box.Calls("/events/list"); n != 4 {
		t.Errorf("%d calls, want three pages and the one that shows the end", n)
	}
}

// TestEachEventMissesNoneBetweenWindows puts events on and around every bound of the windows.
func TestEachEventMissesNoneBetweenWindows(t *testing.T) {
	box := sandbox.New(sandbox.Options{})
	since := testNow.AddDate(0, -3, 0)
	want := 0
	for day := since; day.Before(testNow); day = day.Add(24 * time.Hour) {
		for _, off := range []time.Duration{-time.Microsecond, 0, time.Microsecond, time.Millisecond} {
			if at := day.Add(off); !at.Before(since) {
				box.Connect("", sandbox.At(at))
				want++
			}
		}
	}
	if got := len(historyOf(t, sandboxClient(t, box), since, testNow)); got != want {
		t.Errorf("%d events, want %d", got, want)
	}
	if n := box.Calls("/events/list"); n > 30 {
		t.Errorf("%d calls for three quiet months", n)
	}
}

// TestEachEventEndsOnAServerThatDoesNotPage, as Seam's fake: all at once, whatever limit and offset.
func TestEachEventEndsOnAServerThatDoesNotPage(t *testing.T) {
	client, mux := setup(t)
	calls := 0
	mux.HandleFunc("POST /events/list", func(w http.ResponseWriter, _ *http.Request) {
		calls++
		events := []map[string]string{{"event_id": "", "event_type": "unreadable"}}
		for n := range 700 {
			events = append(events, map[string]string{
				"event_id": fmt.Sprint("e", n), "event_type": seam.TypeAccountConnected, "connected_account_id": "a",
				"occurred_at": testNow.Format(time.RFC3339),
			})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"events": events})
	})
	if n := len(historyOf(t, client, testNow.Add(-time.Hour), testNow.Add(time.Hour))); n != 700 || calls != 2 {
		t.Errorf("%d events in %d calls, want 700 in 2", n, calls)
	}
}

func TestEachEventStopsWithTheVisitor(t *testing.T) {
	box := sandbox.New(sandbox.Options{})
	box.Connect("", sandbox.At(testNow))
	err := sandboxClient(t, box).EachEvent(t.Context(), seam.EventQuery{Since: testNow.Add(-time.Hour), Until: testNow.Add(time.Hour)},
		func([]seam.Event, time.Time) error { return context.Canceled })
	if err != context.Canceled { //nolint:errorlint // the visitor's own error, as it is
		t.Errorf("%v", err)
	}
}

func TestEachAccountFollowsTheCursor(t *testing.T) {
	box := sandbox.New(sandbox.Options{})
	for n := range 1203 {
		box.Connect("", sandbox.AccountID(fmt.Sprintf("a%04d", n)))
	}
	var ids []string
	err := sandboxClient(t, box).EachAccount(t.Context(), func(page []seam.Account) error {
		for _, a := range page {
			ids = append(ids, a.ID)
		}
		return nil
	})
	slices.Sort(ids)
	if err != nil || len(ids) != 1203 || len(slices.Compact(ids)) != 1203 {
		t.Errorf("%d accounts, %v", len(ids), err)
	}
	if n := box.Calls("/connected_accounts/list"); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}
