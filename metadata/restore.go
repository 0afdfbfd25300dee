package metadata

import (
	"slices"
	"time"

	"seamtag/seam"
)

const (
	// clockSkew is how far Seam's clock and ours may be apart when a reconnect is matched with a loss seen before it.
	clockSkew = time.Minute
	// missingLife is how long a loss waits for the event that explains it. Svix gives up after 28 hours.
	missingLife = 7 * 24 * time.Hour
)

// restore tells what a reconnect wiped and has to come back, and which loss a later event may still explain.
func restore(in *Input, v views) (seam.Metadata, *Missing) {
	if !in.Rules.policy.Restore {
		return nil, nil
	}
	gone, left := lost(in.Ledger.Snapshot, in.Account.Metadata)
	missing := in.Ledger.Missing
	back := seam.Metadata{}
	if reconnects(in, v) {
		sets := v.own.metadata()
		back = wiped(gone, left, sets)
		if missing.mayBeOf(in.Event.OccurredAt) {
			missing = missing.explain(back, sets, in.Account.Metadata)
		}
	}
	for key := range back {
		delete(gone, key)
	}
	if len(gone) > 0 {
		missing = &Missing{Values: gone, Left: left, SeenAt: in.Now.UTC()}
	}
	if !missing.mayBeOf(in.Event.OccurredAt) || in.Now.Sub(missing.SeenAt) > missingLife {
		return back, nil // what comes now is of later
	}
	return back, missing
}

// mayBeOf tells whether a reconnect at this time came before the loss was seen.
func (m *Missing) mayBeOf(reconnect time.Time) bool {
	return m != nil && !reconnect.After(m.SeenAt.Add(clockSkew))
}

// explain puts into back what of the loss a webview explains that sets these keys, and hands back what is still
// unexplained.
func (m *Missing) explain(back, sets, present seam.Metadata) *Missing {
	explained := wiped(m.Values, m.Left, sets)
	if len(explained) == 0 {
		return m
	}
	for key, value := range explained {
		if back[key] == nil && present[key] == nil {
			back[key] = value
		}
	}
	return nil
}

// without is the loss but for what is there after all, such as a tag that was written again.
func (m *Missing) without(there seam.Metadata) *Missing {
	if m == nil {
		return nil
	}
	values := seam.Metadata{}
	for key, value := range m.Values {
		if there[key] == nil {
			values[key] = value
		}
	}
	if len(values) == 0 {
		return nil
	}
	return &Missing{Values: values, Left: m.Left, SeenAt: m.SeenAt}
}

// reconnects tells whether the event can be a reconnect that the ledger does not know of yet.
func reconnects(in *Input, v views) bool {
	if !in.Ledger.isNews(in.Event) {
		return false
	}
	if v.own == nil {
		return in.WebviewGone || connects(in.Event.EventType)
	}
	return !in.Ledger.knows(v.own.ID)
}

// lost splits what is remembered into what is gone and the keys that are left. A null is no value.
func lost(remembered, present seam.Metadata) (gone seam.Metadata, left []string) {
	for key, value := range remembered {
		switch {
		case value == nil:
		case present[key] != nil:
			left = append(left, key)
		default:
			if gone == nil {
				gone = seam.Metadata{}
			}
			gone[key] = value
		}
	}
	slices.Sort(left)
	return gone, left
}

// wiped is what of a loss a webview explains that sets these keys: all but them, if nothing else is left.
func wiped(gone seam.Metadata, left []string, sets seam.Metadata) seam.Metadata {
	back := seam.Metadata{}
	for _, key := range left {
		if sets[key] == nil {
			return back
		}
	}
	for key, value := range gone {
		if sets[key] == nil {
			back[key] = value
		}
	}
	return back
}
