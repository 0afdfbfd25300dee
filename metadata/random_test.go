package metadata

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"seamtag/seam"
)

// TestRandomDecisions holds decisions over arbitrary states to what FuzzMerge demands. Few keys, values, webviews and
// times, so that all clauses of the merge meet each other.
func TestRandomDecisions(t *testing.T) {
	r := dice{rand.New(rand.NewPCG(11, 23))}
	for n := range 5000 {
		in := r.input()
		checkDecision(t, in)
		if t.Failed() {
			t.Fatalf("decision %d", n)
		}
	}
}

type dice struct{ *rand.Rand }

func (r dice) one(of ...any) any { return of[r.IntN(len(of))] }

func (r dice) yes() bool { return r.IntN(2) == 0 }

func (r dice) object() map[string]any {
	object := map[string]any{}
	for range r.IntN(4) {
		object[r.key()] = r.one("x", "y", true, nil, json.Number("1"), []any{"z"})
	}
	return object
}

func (r dice) key() string { return fmt.Sprintf("k%d", r.IntN(4)) }

func (r dice) time() time.Time { return hourAt(r.IntN(4)) }

func (r dice) sighting() *Sighting {
	if r.yes() {
		return nil
	}
	return &Sighting{ID: r.webviewID(), At: r.time(), Object: map[string]any{"custom_metadata": r.object()}}
}

func (r dice) webviewID() string { return fmt.Sprintf("w%d", r.IntN(3)) }

func (r dice) ledger() Ledger {
	if r.IntN(4) == 0 {
		return Ledger{}
	}
	l := Ledger{
		Version: ledgerVersion, OccurredAt: r.time(), Owned: r.object(), Pending: r.object(), Snapshot: r.object(),
		Origin: r.sighting(), Latest: r.sighting(),
	}
	if r.yes() {
		l.Given = []string{r.key()}
	}
	if r.yes() {
		l.Missing = &Missing{Values: r.object(), Left: []string{r.key()}[:r.IntN(2)], SeenAt: r.time()}
	}
	return l
}

func (r dice) input() Input {
	in := Input{
		Event:   seam.Event{EventID: "e", EventType: r.one(seam.TypeAccountConnected, "x").(string), OccurredAt: r.time()},
		Account: seam.Account{ID: "acc", Metadata: r.object()}, WebviewGone: r.yes(), Ledger: r.ledger(),
		Tags: map[string]Tag{}, Now: r.time(),
		Rules: &Rules{copies: DefaultRules().copies, policy: Policy{
			Conflict: r.one(ConflictOverwrite, ConflictKeep).(Conflict), Budget: BudgetFail, Prune: r.yes(), Restore: r.yes(),
		}},
	}
	if r.yes() {
		in.Webview = &seam.Webview{ID: r.webviewID(), Metadata: r.object()}
	}
	if r.IntN(4) == 0 {
		in.Rules.policy.Allow = []string{r.key(), r.key()}
	}
	for key, value := range r.object() {
		in.Tags[key] = Tag{Value: value, Source: "tags." + key}
	}
	return in
}
