package metadata

import (
	"slices"
	"time"

	"seamtag/seam"
)

// clockSkew is how far Seam's clock and ours may be apart when a reconnect is matched with a loss seen before its event.
const clockSkew = time.Minute

// restore tells what a reconnect wiped and has to come back, and which loss is still to be judged by a later event.
func restore(in *Input, v views) (seam.Metadata, *Missing) {
	if !in.Rules.policy.Restore {
		return nil, nil
	}
	gone, left := lost(in.Ledger.Snapshot, in.Account.Metadata)
	if !reconnects(in, v) {
		if len(gone) > 0 {
			return nil, &Missing{Values: gone, Left: left, SeenAt: in.Now.UTC()}
		}
		return nil, in.Ledger.Missing
	}
	sets := v.own.metadata()
	back := wiped(gone, left, sets)
	if m := in.Ledger.Missing; m != nil && !in.Event.OccurredAt.After(m.SeenAt.Add(clockSkew)) {
		for key, value := range wiped(m.Values, m.Left, sets) {
			if back[key] == nil && in.Account.Metadata[key] == nil {
				back[key] = value
			}
		}
	}
	return back, nil
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
