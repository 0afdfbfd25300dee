package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"seamtag/seam"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// must tags with the default rules and fails the test on an error.
func must(t *testing.T, tagger *Tagger, ev seam.Event, ledger Ledger) (Result, Ledger) {
	t.Helper()
	result, ledger, err := tagger.Tag(t.Context(), ev, ledger, held)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseLedger(ledger.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return result, again
}

func wantMetadata(t *testing.T, w *world, want seam.Metadata) {
	t.Helper()
	if diff := cmp.Diff(want, w.metadata); diff != "" {
		t.Errorf("the account's metadata (-want +got):\n%s", diff)
	}
}

// wantCalls compares how often each endpoint was asked since the last look.
func wantCalls(t *testing.T, w *world, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	w.calls = map[string]int{}
}

func TestTagKeepsWhatIsThere(t *testing.T) {
	for name, merges := range map[string]bool{"replace": false, "merge": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.merges = merges
			w.metadata = seam.Metadata{"site": "hq", "floor": json.Number("3")}
			w.addWebview("w1", 1, seam.Metadata{"user_id": "u1"})
			tagger := New(Options{Seam: w})

			result, ledger := must(t, tagger, connected("w1", 1), Ledger{})
			wantMetadata(t, w, seam.Metadata{"site": "hq", "floor": json.Number("3"), "user_id": "u1"})
			wantCalls(t, w, map[string]int{"account": 2, "webview": 1, "update": 1})
			want := Result{
				Status: StatusTagged, Set: map[string]any{"user_id": "u1"}, Removed: []string{}, Restored: []string{},
				Sources: map[string]string{"user_id": "webview.custom_metadata"}, WebviewID: "w1", OriginID: "w1",
				Before: seam.Metadata{"site": "hq", "floor": json.Number("3")}, After: w.metadata,
			}
			if diff := cmp.Diff(want, result); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}

			result, _ = must(t, tagger, connected("w1", 1), ledger)
			if result.Status != StatusUnchanged {
				t.Errorf("the second event: %s", result.Status)
			}
			wantCalls(t, w, map[string]int{"account": 1, "webview": 1})
		})
	}
}

func TestResultIsNeverNull(t *testing.T) {
	result, _ := must(t, New(Options{Seam: newWorld()}), seam.Event{}, Ledger{})
	got, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"set":{},"removed":[],"restored":[],"sources":{}}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTagFindsTheWebview(t *testing.T) {
	login := func(webviewID string, hour int) seam.Event {
		ev := connected(webviewID, hour)
		ev.EventType = seam.TypeLoginSucceeded
		return ev
	}
	latest := &Sighting{ID: "w1", At: hourAt(1), Object: map[string]any{"custom_metadata": map[string]any{"user_id": "ledger"}}}
	cases := map[string]struct {
		event  seam.Event
		events []seam.Event
		ledger Ledger
		want   string
		calls  map[string]int // those of an account that is as it should be
	}{
		"of the event": {
			event: connected("w2", 5), events: []seam.Event{login("w3", 6)}, want: "w2",
			calls: map[string]int{"account": 1, "webview": 1},
		},
		"of the newest login": {
			event: connected("", 5), events: []seam.Event{login("w1", 1), login("w2", 5), login("w3", 3)}, want: "w2",
			calls: map[string]int{"account": 1, "events": 1, "webview": 1},
		},
		"of the ledger": {
			event: connected("", 5), ledger: Ledger{OccurredAt: hourAt(1), Origin: latest, Latest: latest}, want: "w1",
			calls: map[string]int{"account": 1, "events": 1},
		},
		"of the list": {
			event: connected("", 5), want: "w3",
			calls: map[string]int{"account": 1, "events": 1, "webviews": 1, "webview": 1},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			for hour, id := range []string{"w1", "w2", "w3"} {
				w.addWebview(id, hour+1, seam.Metadata{"user_id": id})
			}
			w.metadata, w.events = seam.Metadata{"user_id": "there"}, c.events
			result, _ := must(t, New(Options{Seam: w}), c.event, c.ledger)
			if result.WebviewID != c.want || result.Status != StatusUnchanged {
				t.Errorf("webview %q, %s; want %q, unchanged", result.WebviewID, result.Status, c.want)
			}
			wantCalls(t, w, c.calls)
		})
	}
}

func TestTagWithoutAnyWebview(t *testing.T) {
	w := newWorld()
	w.metadata = seam.Metadata{"site": "hq"}
	result, _ := must(t, New(Options{Seam: w}), connected("", 1), Ledger{})
	if result.Status != StatusUnchanged || result.WebviewID != "" {
		t.Errorf("%s, webview %q", result.Status, result.WebviewID)
	}
}

func TestListOfWebviewsIsShared(t *testing.T) {
	w := newWorld()
	now := hourAt(9)
	tagger := New(Options{Seam: w, Now: func() time.Time { return now }})
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, _, err := tagger.webviews.newest(t.Context(), "acc"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	wantCalls(t, w, map[string]int{"webviews": 1})
	now = now.Add(time.Minute)
	must(t, tagger, connected("", 9), Ledger{})
	wantCalls(t, w, map[string]int{"account": 1, "events": 1, "webviews": 1})
}

func TestListOfWebviewsIsBounded(t *testing.T) {
	pages := 0
	x := newWebviewIndex(&double{webviews: func(q seam.WebviewQuery) (seam.WebviewPage, error) {
		pages++
		return seam.WebviewPage{
			Webviews:   []seam.Webview{{ID: "w" + q.Cursor, AccountID: "acc", CreatedAt: hourAt(pages % 24)}, {ID: "pending"}},
			NextCursor: q.Cursor + "x",
		}, nil
	}}, time.Now)
	id, _, err := x.newest(t.Context(), "acc")
	if err != nil || pages != indexPages || id != "w"+strings.Repeat("x", 22) {
		t.Errorf("after %d pages: %q, %v", pages, id, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	x.turn <- struct{}{}
	if _, _, err := x.newest(cancelled, "acc"); !errors.Is(err, context.Canceled) {
		t.Errorf("while another reads, cancelled: %v", err)
	}
}

func TestTagSkips(t *testing.T) {
	w := newWorld()
	w.addWebview("w1", 1, seam.Metadata{"user_id": "u1"})
	tagger := New(Options{Seam: w})
	result, _ := must(t, tagger, seam.Event{EventID: "e", EventType: "device.connected"}, Ledger{})
	if result.Status != StatusSkipped || result.Reason != ReasonNoAccount || w.total() != 0 {
		t.Errorf("no account: %s %s, %d calls", result.Status, result.Reason, w.total())
	}

	before := Ledger{OccurredAt: hourAt(1), Snapshot: seam.Metadata{"site": "hq"}}
	for name, goneAt := range map[string]string{"before": "account", "at the update": "update", "at the read-back": "read-back"} {
		t.Run(name, func(t *testing.T) {
			w.metadata, w.gone = seam.Metadata{}, goneAt == "account"
			w.fail = func(endpoint string) error {
				if goneAt == endpoint || goneAt == "read-back" && endpoint == "account" && w.calls["update"] > 0 {
					return notFound(endpoint)
				}
				return nil
			}
			w.calls = map[string]int{}
			result, ledger, err := tagger.Tag(t.Context(), connected("w1", 2), before, held)
			if err != nil || result.Status != StatusSkipped || result.Reason != ReasonAccountGone {
				t.Errorf("%s %s, %v", result.Status, result.Reason, err)
			}
			if diff := cmp.Diff(before, ledger); diff != "" {
				t.Errorf("the ledger changed:\n%s", diff)
			}
		})
	}
}

func TestTagGoesOnWithoutItsWebview(t *testing.T) {
	w := newWorld()
	w.metadata = seam.Metadata{"site": "hq"}
	result, ledger := must(t, New(Options{Seam: w}), connected("deleted", 1), Ledger{})
	if result.Status != StatusUnchanged || ledger.Latest != nil {
		t.Errorf("%s, latest %v", result.Status, ledger.Latest)
	}
}

func TestTagRepairsAReconnect(t *testing.T) {
	for name, second := range map[string]seam.Metadata{"with metadata": {"user_id": "u2"}, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.addWebview("w1", 1, seam.Metadata{"user_id": "u1"})
			w.addWebview("w2", 2, second)
			tagger := New(Options{Seam: w})
			w.connect("w1")
			w.metadata["site"] = "hq"
			_, ledger := must(t, tagger, connected("w1", 1), Ledger{})

			w.connect("w2")
			w.calls = map[string]int{}
			result, ledger := must(t, tagger, connected("w2", 2), ledger)
			want := seam.Metadata{"user_id": "u1", "site": "hq"}
			restored := []string{"site", "user_id"}
			if second["user_id"] != nil {
				want["user_id"], restored = "u2", []string{"site"}
			}
			wantMetadata(t, w, want)
			if diff := cmp.Diff(restored, result.Restored); diff != "" {
				t.Errorf("restored (-want +got):\n%s", diff)
			}
			wantCalls(t, w, map[string]int{"account": 2, "webview": 1, "update": 1})

			delete(w.metadata, "site")
			for _, ev := range []seam.Event{connected("w2", 2), connected("w1", 1), connected("w2", 3)} {
				_, ledger = must(t, tagger, ev, ledger)
			}
			delete(want, "site")
			wantMetadata(t, w, want)
		})
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	end := func(order ...int) (seam.Metadata, Ledger) {
		w := newWorld()
		w.addWebview("w1", 1, seam.Metadata{"user_id": "u1", "room": "1"})
		w.addWebview("w2", 2, seam.Metadata{"user_id": "u2"})
		w.connect("w2")
		tagger := New(Options{Seam: w})
		ledger := Ledger{}
		for _, n := range order {
			_, ledger = must(t, tagger, connected("w"+string(rune('0'+n)), n), ledger)
		}
		return w.metadata, ledger
	}
	metadata, ledger := end(1, 2)
	for _, order := range [][]int{{2, 1}, {2, 1, 2, 1}, {1, 1, 2}, {1, 2, 1}} {
		otherMetadata, otherLedger := end(order...)
		if diff := cmp.Diff(metadata, otherMetadata); diff != "" {
			t.Errorf("order %v, metadata (-in order +got):\n%s", order, diff)
		}
		if diff := cmp.Diff(ledger, otherLedger); diff != "" {
			t.Errorf("order %v, ledger (-in order +got):\n%s", order, diff)
		}
	}
}

func TestLostFencePreventsTheUpdate(t *testing.T) {
	w := newWorld()
	w.addWebview("w1", 1, seam.Metadata{"user_id": "u1"})
	lost := errors.New("the account is another's")
	_, ledger, err := New(Options{Seam: w}).Tag(t.Context(), connected("w1", 1), Ledger{}, func() error { return lost })
	if !errors.Is(err, lost) || w.calls["update"] != 0 || len(ledger.Encode()) != len(Ledger{}.Encode()) {
		t.Errorf("%v, %d updates", err, w.calls["update"])
	}
}

func TestErrorsOfSeamAreHandedOn(t *testing.T) {
	for _, endpoint := range []string{"account", "webview", "events", "webviews", "update"} {
		t.Run(endpoint, func(t *testing.T) {
			w := newWorld()
			w.addWebview("w1", 1, seam.Metadata{"user_id": "secret-value"})
			w.fail = func(called string) error {
				if called == endpoint {
					return &seam.Error{Endpoint: "/x", Status: 503}
				}
				return nil
			}
			ev := connected("", 1)
			if endpoint == "webview" {
				ev = connected("w1", 1)
			}
			_, _, err := New(Options{Seam: w}).Tag(t.Context(), ev, Ledger{}, held)
			var seamError *seam.Error
			if !errors.Is(err, seam.ErrUnavailable) || !errors.As(err, &seamError) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// double answers with its func fields; what a test does not name must not be called.
type double struct {
	world
	webviews func(seam.WebviewQuery) (seam.WebviewPage, error)
}

func (d *double) Webviews(_ context.Context, q seam.WebviewQuery) (seam.WebviewPage, error) {
	return d.webviews(q)
}
