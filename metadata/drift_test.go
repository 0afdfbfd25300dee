package metadata

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/seam"
)

// checked is our own event about the world's account.
func checked(t *testing.T, hour int) seam.Event {
	t.Helper()
	body, err := CheckEvent("check-1", "acc", "w", hourAt(hour))
	if err != nil {
		t.Fatal(err)
	}
	ev, err := seam.ParseEvent(body)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

func (w *world) login(webviewID string, hour int) {
	ev := connected(webviewID, hour)
	ev.EventType, ev.EventID = seam.TypeLoginSucceeded, "login-"+ev.EventID
	w.events = append(w.events, ev)
}

func (w *world) account() seam.Account {
	return seam.Account{ID: "acc", Metadata: w.metadata.Clone(), CreatedAt: hourAt(1)}
}

// TestCheckRepairsAReconnectWhoseEventWasLost: Seam's events name the reconnect, so a check does what its event would do.
func TestCheckRepairsAReconnectWhoseEventWasLost(t *testing.T) {
	w := newWorld()
	w.addWebview("w1", 1, seam.Metadata{"user_id": "u1"})
	w.addWebview("w2", 3, seam.Metadata{"user_id": "u2"})
	tagger := New(Options{Seam: w})
	w.connect("w1")
	w.metadata["site"] = "hq"
	_, ledger := must(t, tagger, connected("w1", 1), Ledger{})

	w.connect("w2")
	w.login("w2", 3)
	drift, err := tagger.Drift(t.Context(), w.account(), ledger)
	want := []Drift{{Kind: DriftMissing, Key: "site", After: "hq", Source: "ledger", Mends: true}}
	if diff := cmp.Diff(want, drift); diff != "" || err != nil {
		t.Errorf("drift %v (-want +got):\n%s", err, diff)
	}
	result, ledger := must(t, tagger, checked(t, 9), ledger)
	wantMetadata(t, w, seam.Metadata{"user_id": "u2", "site": "hq"})
	if diff := cmp.Diff([]string{"site"}, result.Restored); diff != "" {
		t.Errorf("restored %s", diff)
	}
	delete(w.metadata, "site") // now somebody means it, and the late event brings it back no more
	if _, ledger = must(t, tagger, checked(t, 10), ledger); w.metadata["site"] != nil {
		t.Error("a check brought back what somebody deleted")
	}
	if _, ledger = must(t, tagger, connected("w2", 3), ledger); w.metadata["site"] != nil || !ledger.OccurredAt.Equal(hourAt(3)) {
		t.Errorf("the late event: %v, as of %s", w.metadata, ledger.OccurredAt)
	}
}

// TestACheckIsNoNews: it neither restores by itself nor makes a reconnect whose event is on its way look old.
func TestACheckIsNoNews(t *testing.T) {
	w := newWorld()
	w.addWebview("w1", 1, seam.Metadata{"user_id": "u1"})
	w.addWebview("w2", 3, seam.Metadata{})
	tagger := New(Options{Seam: w})
	w.connect("w1")
	w.metadata["site"] = "hq"
	_, ledger := must(t, tagger, connected("w1", 1), Ledger{})
	w.connect("w2") // Seam lists no login yet
	if _, ledger = must(t, tagger, checked(t, 9), ledger); len(w.metadata) != 0 {
		t.Errorf("the check restored %v", w.metadata)
	}
	_, _ = must(t, tagger, connected("w2", 3), ledger)
	wantMetadata(t, w, seam.Metadata{"user_id": "u1", "site": "hq"})
}

func TestCheckOfAnAccountNeverTagged(t *testing.T) {
	w := newWorld()
	w.addWebview("w1", 1, seam.Metadata{"user_id": "u1"})
	w.webviews["w0"] = seam.Webview{ID: "w0", Metadata: seam.Metadata{}}
	w.login("w1", 2)
	result, ledger := must(t, New(Options{Seam: w}), checked(t, 9), Ledger{})
	wantMetadata(t, w, seam.Metadata{"user_id": "u1"})
	if result.Status != StatusTagged || !ledger.OccurredAt.Equal(hourAt(2)) {
		t.Errorf("%s, as of %s; want as of the login", result.Status, ledger.OccurredAt)
	}
}

func TestDriftKinds(t *testing.T) {
	ledger := Ledger{
		Version: ledgerVersion, OccurredAt: hourAt(1), Owned: map[string]any{"plan": "free", "old": "x"},
		Snapshot: seam.Metadata{"plan": "free", "old": "x"}, Origin: &Sighting{ID: "w1", At: hourAt(1)}, Latest: &Sighting{ID: "w1", At: hourAt(1)},
	}
	full := seam.Metadata{}
	for n := range maxKeys {
		full[fmt.Sprintf("k%02d", n)] = "v"
	}
	for name, tt := range map[string]struct {
		present seam.Metadata
		ledger  Ledger
		tags    map[string]Tag
		keep    bool
		want    []Drift
	}{
		"none":            {seam.Metadata{"plan": "free"}, ledger, map[string]Tag{"plan": {Value: "free"}}, false, nil},
		"missing":         {seam.Metadata{}, ledger, map[string]Tag{"plan": {Value: "free"}}, false, []Drift{{Kind: DriftMissing, Key: "plan", After: "free", Mends: true}}},
		"the rule":        {seam.Metadata{"plan": "free"}, ledger, map[string]Tag{"plan": {Value: "gold"}}, false, []Drift{{Kind: DriftChanged, Key: "plan", Before: "free", After: "gold", Mends: true}}},
		"somebody":        {seam.Metadata{"plan": "pro"}, ledger, map[string]Tag{"plan": {Value: "free"}}, false, []Drift{{Kind: DriftChanged, Key: "plan", Before: "pro", After: "free", Mends: true}}},
		"no longer given": {seam.Metadata{"old": "x"}, ledger, nil, false, []Drift{{Kind: DriftChanged, Key: "old", Before: "x", Mends: true}}},
		"foreign":         {seam.Metadata{"vip": "no"}, ledger, map[string]Tag{"vip": {Value: true}}, false, []Drift{{Kind: DriftConflict, Key: "vip", Before: "no", After: true, Mends: true}}},
		"kept": {seam.Metadata{"vip": "no"}, ledger, map[string]Tag{"vip": {Value: true}}, true, []Drift{{
			Kind: DriftConflict, Key: "vip", Before: "no", Problem: "another system's value is kept (policy.conflict)",
		}}},
		"no origin": {seam.Metadata{}, Ledger{}, nil, false, []Drift{{Kind: DriftNoOrigin, Problem: "no webview is known to have connected the account"}}},
	} {
		t.Run(name, func(t *testing.T) {
			rules := DefaultRules()
			if tt.keep {
				rules.policy.Conflict = ConflictKeep
			}
			in := Input{Account: seam.Account{ID: "acc", Metadata: tt.present}, Ledger: tt.ledger, Rules: rules, Tags: tt.tags}
			in.Event = dated(seam.Event{EventType: TypeCheck, OccurredAt: hourAt(5)}, in.Account, time.Time{}, tt.ledger)
			d, err := Plan(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, d.drift(tt.present, tt.ledger)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}

	w := newWorld()
	w.metadata = full
	w.addWebview("w1", 1, seam.Metadata{"one_more": "v"})
	w.login("w1", 1)
	drift, err := New(Options{Seam: w}).Drift(t.Context(), w.account(), Ledger{})
	if err != nil || len(drift) != 1 || drift[0].Kind != DriftOverBudget || drift[0].Mends || drift[0].Problem == "" {
		t.Errorf("over budget: %+v, %v", drift, err)
	}
}

// TestDriftAsksSeamOnlyWhereItMust: an account as it was left costs no call, so that 100,000 of them cost only their list.
func TestDriftAsksSeamOnlyWhereItMust(t *testing.T) {
	w := newWorld()
	w.addWebview("w1", 1, seam.Metadata{"user_id": "u1"})
	w.connect("w1")
	tagger := New(Options{Seam: w})
	_, ledger := must(t, tagger, connected("w1", 1), Ledger{})
	w.calls = map[string]int{}
	before := maps.Clone(w.metadata)
	if drift, err := tagger.Drift(t.Context(), w.account(), ledger); err != nil || len(drift) != 0 {
		t.Errorf("%v, %v", drift, err)
	}
	wantCalls(t, w, map[string]int{})
	w.metadata["more"] = "x"
	if drift, err := tagger.Drift(t.Context(), w.account(), ledger); err != nil || len(drift) != 0 {
		t.Errorf("%v, %v", drift, err)
	}
	wantCalls(t, w, map[string]int{"events": 1})
	delete(w.metadata, "more")
	wantMetadata(t, w, before)
}
