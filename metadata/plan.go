package metadata

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"seamtag/seam"
)

// Input is all that a decision depends on.
type Input struct {
	Event       seam.Event
	Account     seam.Account
	Webview     *seam.Webview // the event's own, nil when it has none or it is not to be found
	WebviewAt   time.Time     // when Webview connected the account, if that is known from elsewhere than the event
	WebviewGone bool          // the event names a webview, or Seam's events do, that is not to be found
	Ledger      Ledger        // the origin and the latest webview are read from here
	Rules       *Rules
	Tags        map[string]Tag // computed by the rules
	Copies      map[string]any // the same, of copy: those that are no webview's metadata, by their source
	Now         time.Time
}

// Decision is what has to be written, and what that means. It shares no map with its Input that a caller may change.
type Decision struct {
	Metadata seam.Metadata // the whole object
	Changed  bool          // it differs from what is there
	Set      map[string]any
	Removed  []string // sorted
	Restored []string // sorted
	Dropped  []string // keys left out for the budget, in the order of policy.drop
	Kept     []string // keys of tags where another writer's value is kept, sorted
	Sources  map[string]string
	Origin   *Sighting
	Latest   *Sighting

	ledger Ledger // but for the snapshot
}

// Plan decides what an account's metadata has to be, by the order that the package's documentation states. Its errors
// are *RuleError. It is pure.
func Plan(in Input) (Decision, error) {
	in.Event.OccurredAt = stamp(in.Event.OccurredAt)
	return plan(&in, see(&in))
}

func plan(in *Input, v views) (Decision, error) {
	m, err := merge(in, v, nil)
	if err != nil {
		return Decision{}, err
	}
	var dropped []string
	if m.overBudget() && in.Rules.policy.Budget == BudgetDrop {
		if m, dropped, err = drop(in, v, m); err != nil {
			return Decision{}, err
		}
	}
	if m.overBudget() {
		return Decision{}, &RuleError{OverBudget: true, Problem: fmt.Sprintf("%d keys, Seam takes %d: %s",
			len(m.final), maxKeys, quoteKeys(sortedKeys(m.final)))}
	}
	d := m.decide()
	d.Dropped = dropped
	return d, nil
}

// drop leaves out keys of ours, as policy.drop orders them, until the rest fits or the order is used up.
func drop(in *Input, v views, m *draft) (*draft, []string, error) {
	var dropped []string
	for _, key := range in.Rules.policy.Drop {
		if !m.overBudget() {
			break
		}
		if _, ours := m.sources[key]; !ours {
			continue
		}
		dropped = append(dropped, key)
		var err error
		if m, err = merge(in, v, dropped); err != nil {
			return nil, nil, err
		}
	}
	return m, dropped, nil
}

func quoteKeys(keys []string) string {
	quoted := make([]string, len(keys))
	for i, key := range keys {
		quoted[i] = quoteKey(key)
	}
	return strings.Join(quoted, ", ")
}

// decide compares the draft with what is there.
func (m *draft) decide() Decision {
	d := Decision{
		Metadata: m.final, Changed: m.changed(),
		Set: make(map[string]any, len(m.sources)), Sources: m.sources,
		Kept:   m.kept,
		Origin: m.views.origin, Latest: m.views.latest,
		ledger: m.ledger(),
	}
	present := m.in.Account.Metadata
	for key, value := range m.final {
		if equal(present[key], value) {
			delete(d.Sources, key)
			continue
		}
		if _, ours := m.sources[key]; ours {
			d.Set[key] = value
			continue
		}
		d.Restored, d.Sources[key] = append(d.Restored, key), sourceLedger
	}
	for key, value := range present {
		if value != nil && m.final[key] == nil {
			d.Removed = append(d.Removed, key)
		}
	}
	slices.Sort(d.Restored)
	slices.Sort(d.Removed)
	return d
}

// ledger is what will be remembered, but for the snapshot.
func (m *draft) ledger() Ledger {
	l := Ledger{
		Version: ledgerVersion, OccurredAt: m.in.Event.OccurredAt, EventID: m.in.Event.EventID,
		Owned: m.owned, Given: m.allGiven(),
		Origin: m.views.origin, Latest: thin(m.views.latest, m.views.origin), Missing: m.missing,
	}
	if m.in.Ledger.isOld(m.in.Event) {
		l.OccurredAt, l.EventID = m.in.Ledger.OccurredAt, m.in.Ledger.EventID
	}
	return l
}

// allGiven adds this event's keys to those of the ledger. Over the bound, keys that copy no longer names go first.
func (m *draft) allGiven() []string {
	given := slices.Clone(m.given)
	for _, key := range m.in.Ledger.Given {
		if !slices.Contains(m.given, key) && len(given) < maxGiven {
			given = append(given, key)
		}
	}
	slices.Sort(given)
	return given
}

// settle is the ledger once the account carries got, which is the decision's own metadata.
func (d Decision) settle(got seam.Metadata) Ledger {
	l := d.ledger
	l.Snapshot = got.Clone()
	if len(l.Snapshot) > maxKeys {
		for _, key := range sortedKeys(l.Snapshot)[maxKeys:] {
			delete(l.Snapshot, key)
		}
	}
	return l
}
