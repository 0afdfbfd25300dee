package metadata

import (
	"maps"
	"slices"

	"seamtag/seam"
)

// sourceLedger is the source of what came back after a reconnect.
const sourceLedger = "ledger"

// draft is the object in the making. Its steps follow the order that the package's documentation states.
type draft struct {
	in      *Input
	views   views
	without []string // keys left out for the budget

	final   seam.Metadata
	sources map[string]string // of the keys in final that are ours, by copy now or by a tag
	owned   map[string]any
	given   []string // keys of copy that have had their chance
	kept    []string // keys of tags where another writer's value stays; sorted
	missing *Missing
}

func merge(in *Input, v views, without []string) (*draft, error) {
	present := in.Account.Metadata
	m := &draft{
		in: in, views: v, without: without,
		final:   make(seam.Metadata, len(present)+len(in.Tags)),
		sources: make(map[string]string, len(in.Tags)),
		owned:   make(map[string]any, len(in.Tags)),
	}
	maps.Copy(m.final, present)
	back, missing := restore(in, v)
	maps.Copy(m.final, back)
	m.missing = missing
	if err := m.fill(); err != nil {
		return nil, err
	}
	if err := m.tag(); err != nil {
		return nil, err
	}
	m.prune()
	m.missing = m.missing.without(m.final)
	return m, nil
}

// fill gives initial values.
func (m *draft) fill() error {
	initial := m.in.Rules.initial(m.views, m.in.Copies)
	fills := !m.in.Ledger.isOld(m.in.Event) || m.views.discovers
	for _, key := range sortedKeys(initial) {
		if !m.may(key) {
			continue
		}
		taken := m.final[key] != nil || m.in.Ledger.remembers(key) || m.gives(key)
		if !taken && !fills {
			continue
		}
		m.given = append(m.given, key)
		if taken {
			continue
		}
		value, err := writable(key, initial[key])
		if err != nil {
			return err
		}
		m.final[key], m.sources[key] = value, initial[key].Source
	}
	return nil
}

// tag writes what seamtag owns.
func (m *draft) tag() error {
	keep := m.in.Rules.policy.Conflict == ConflictKeep
	for _, key := range sortedKeys(m.in.Tags) {
		if !m.gives(key) {
			continue
		}
		value, err := writable(key, m.in.Tags[key])
		if err != nil {
			return err
		}
		before := m.final[key]
		if foreign := before != nil && !m.in.Ledger.wrote(key, before); foreign && (keep || equal(before, value)) {
			if !equal(before, value) {
				m.kept = append(m.kept, key)
			}
			continue
		}
		m.final[key], m.owned[key], m.sources[key] = value, value, m.in.Tags[key].Source
	}
	return nil
}

// prune takes back tags that the rules no longer give, and disowns those that somebody changed.
func (m *draft) prune() {
	for _, wrote := range []map[string]any{m.in.Ledger.Owned, m.in.Ledger.Pending} {
		for key := range wrote {
			value := m.final[key]
			if m.gives(key) || value == nil || !m.in.Ledger.wrote(key, value) {
				continue
			}
			if m.in.Rules.policy.Prune {
				delete(m.final, key)
			} else {
				m.owned[key] = value
			}
		}
	}
}

// sortedKeys makes what is done for each key, and the first error, the same each time.
func sortedKeys[V any](object map[string]V) []string {
	keys := slices.AppendSeq(make([]string, 0, len(object)), maps.Keys(object))
	slices.Sort(keys)
	return keys
}

// gives tells whether the rules give key a tag.
func (m *draft) gives(key string) bool { return m.in.Tags[key].Value != nil && m.may(key) }

// may tells whether key may be written at all.
func (m *draft) may(key string) bool {
	allow := m.in.Rules.policy.Allow
	return (len(allow) == 0 || slices.Contains(allow, key)) && !slices.Contains(m.without, key)
}

func (m *draft) changed() bool { return !same(m.in.Account.Metadata, m.final) }

// overBudget tells whether too much would be written. What is there already is none of our business.
func (m *draft) overBudget() bool { return len(m.final) > maxKeys && m.changed() }
