package metadata

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seamtag/seam"
)

// tagInput is an account's state for write, with tags that the rules gave.
func tagInput(w *world, ledger Ledger, tags map[string]any) Input {
	in := Input{
		Event: connected("", 1), Account: seam.Account{ID: "acc", Metadata: w.metadata.Clone()},
		Ledger: ledger, Rules: DefaultRules(), Now: hourAt(9), Tags: map[string]Tag{},
	}
	for key, value := range tags {
		in.Tags[key] = Tag{Value: value, Source: "tags." + key}
	}
	return in
}

func TestAnotherWriterBetweenUpdateAndReadBack(t *testing.T) {
	w := newWorld()
	once := false
	w.afterPost = func(w *world) {
		if !once {
			once, w.metadata = true, seam.Metadata{"theirs": "x"}
		}
	}
	tagger := New(Options{Seam: w})
	result, ledger, err := tagger.write(t.Context(), tagInput(w, Ledger{}, map[string]any{"plan": "pro"}), held)
	if err != nil {
		t.Fatal(err)
	}
	wantMetadata(t, w, seam.Metadata{"theirs": "x", "plan": "pro"})
	if result.Status != StatusTagged || result.Rewrites != 1 || len(result.Set) != 1 {
		t.Errorf("%s, %d rewrites, set %v", result.Status, result.Rewrites, result.Set)
	}
	if diff := cmp.Diff(map[string]any{"plan": "pro"}, ledger.Owned); diff != "" || ledger.Pending != nil {
		t.Errorf("owned (-want +got), pending %v:\n%s", ledger.Pending, diff)
	}
}

func TestAnotherWriterAddsAKey(t *testing.T) {
	w := newWorld()
	w.afterPost = func(w *world) { w.metadata["theirs"] = "x" }
	result, ledger, err := New(Options{Seam: w}).write(t.Context(), tagInput(w, Ledger{}, map[string]any{"plan": "pro"}), held)
	if err != nil || result.Status != StatusTagged || result.Rewrites != 0 {
		t.Errorf("%s, %d rewrites, %v", result.Status, result.Rewrites, err)
	}
	if diff := cmp.Diff(map[string]any{"plan": "pro"}, ledger.Owned); diff != "" {
		t.Errorf("a tag written in the first round is ours (-want +got):\n%s", diff)
	}
	wantCalls(t, w, map[string]int{"account": 1, "update": 1})
}

func TestContendedAccountBacksOff(t *testing.T) {
	w := newWorld()
	w.afterPost = func(w *world) { w.metadata = seam.Metadata{} }
	_, ledger, err := New(Options{Seam: w}).write(t.Context(), tagInput(w, Ledger{}, map[string]any{"plan": "pro"}), held)
	if !errors.Is(err, ErrContended) || w.calls["update"] != maxRounds {
		t.Errorf("%v after %d updates", err, w.calls["update"])
	}
	if ledger.Pending["plan"] != "pro" {
		t.Errorf("pending %v", ledger.Pending)
	}
}

func TestRemovalUnderMergeIsNotClaimed(t *testing.T) {
	for name, c := range map[string]struct {
		tags   map[string]any
		status Status
		reason string
	}{
		"alone":         {nil, StatusUnchanged, ReasonRemovalNotShown},
		"beside others": {map[string]any{"vip": true}, StatusTagged, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.merges, w.metadata = true, seam.Metadata{"plan": "pro"}
			ledger := Ledger{OccurredAt: hourAt(1), Owned: map[string]any{"plan": "pro"}, Snapshot: seam.Metadata{"plan": "pro"}}
			tagger := New(Options{Seam: w})
			result, ledger, err := tagger.write(t.Context(), tagInput(w, ledger, c.tags), held)
			if err != nil || result.Status != c.status || result.Reason != c.reason || len(result.Removed) != 0 {
				t.Errorf("%s %s, removed %v, %v", result.Status, result.Reason, result.Removed, err)
			}
			result, _, err = tagger.write(t.Context(), tagInput(w, ledger, c.tags), held)
			if err != nil || result.Status != StatusUnchanged || w.calls["update"] != 1 {
				t.Errorf("again: %s, %d updates, %v", result.Status, w.calls["update"], err)
			}
		})
	}
}

func TestRemovalUnderReplace(t *testing.T) {
	w := newWorld()
	w.metadata = seam.Metadata{"plan": "pro", "site": "hq"}
	ledger := Ledger{OccurredAt: hourAt(1), Owned: map[string]any{"plan": "pro"}, Snapshot: w.metadata.Clone()}
	result, _, err := New(Options{Seam: w}).write(t.Context(), tagInput(w, ledger, nil), held)
	if err != nil || result.Status != StatusTagged || !cmp.Equal(result.Removed, []string{"plan"}) {
		t.Errorf("%s, removed %v, %v", result.Status, result.Removed, err)
	}
	wantMetadata(t, w, seam.Metadata{"site": "hq"})
}

// An update whose answer was lost may have happened. Its tags are ours either way, also where foreign values are kept.
func TestUpdateOfUnknownOutcome(t *testing.T) {
	for name, arrives := range map[string]bool{"arrived": true, "did not": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.metadata = seam.Metadata{"plan": "free"}
			w.fail = func(endpoint string) error {
				if endpoint != "update" {
					return nil
				}
				if arrives {
					w.metadata["plan"] = "pro"
				}
				return &seam.Error{Endpoint: "/connected_accounts/update", Err: errors.New("timeout")}
			}
			rules := DefaultRules()
			rules.policy.Conflict = ConflictKeep
			tagger := New(Options{Seam: w})
			ledger := Ledger{OccurredAt: hourAt(1), Owned: map[string]any{"plan": "free"}, Snapshot: w.metadata.Clone()}
			in := tagInput(w, ledger, map[string]any{"plan": "pro"})
			in.Rules = rules
			_, ledger, err := tagger.write(t.Context(), in, held)
			if !errors.Is(err, seam.ErrUnavailable) {
				t.Fatal(err)
			}
			w.fail = nil
			in = tagInput(w, ledger, map[string]any{"plan": "gold"})
			in.Rules = rules
			if _, ledger, err = tagger.write(t.Context(), in, held); err != nil {
				t.Fatal(err)
			}
			wantMetadata(t, w, seam.Metadata{"plan": "gold"})
			if diff := cmp.Diff(map[string]any{"plan": "gold"}, ledger.Owned); diff != "" {
				t.Errorf("owned (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRuleErrorsAreFound(t *testing.T) {
	w := newWorld()
	_, _, err := New(Options{Seam: w}).write(t.Context(), tagInput(w, Ledger{}, map[string]any{"plan": []any{"secret"}}), held)
	var rule *RuleError
	if !errors.As(err, &rule) {
		t.Fatal(err)
	}
	want := RuleError{
		Key: "plan", Expression: "tags.plan", Kind: "list",
		Problem: "a value of kind list cannot be written, Seam takes strings and booleans",
	}
	if diff := cmp.Diff(want, *rule); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
