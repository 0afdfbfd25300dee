package metadata

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"seamtag/seam"
)

// maxRounds is how often an account is written before its other writers are given some peace.
const maxRounds = 3

// ErrContended says that another writer changed the account each time it was read back. Back off.
var ErrContended = errors.New("another writer keeps changing the account's metadata")

// attempt is one Tag on its way: what was written, to be claimed as far as the last read-back shows it.
type attempt struct {
	before   seam.Metadata
	updates  int
	set      map[string]any
	sources  map[string]string
	removed  map[string]bool
	restored map[string]any
	keys     []Key   // the first round's
	lookups  []Asked // the last round's
}

// write decides, writes and reads back, until the account is as decided.
func (t *Tagger) write(ctx context.Context, in Input, fence func() error) (Result, Ledger, error) {
	a := &attempt{
		before: in.Account.Metadata,
		set:    map[string]any{}, sources: map[string]string{}, removed: map[string]bool{}, restored: map[string]any{},
	}
	for {
		d, got, err := decide(ctx, &in)
		if err != nil {
			return Result{}, in.Ledger, err
		}
		a.explain(&in, d, got)
		if !d.Changed {
			return a.result(d, in.Account.Metadata), d.settle(in.Account.Metadata), nil
		}
		if a.updates == maxRounds {
			return Result{}, in.Ledger, ErrContended
		}
		if err := fence(); err != nil {
			return Result{}, in.Ledger, fmt.Errorf("before the update: %w", err)
		}
		in.Ledger = in.Ledger.sending(d, in.Account.Metadata)
		a.note(d)
		if in.Account, err = t.send(ctx, in.Event.ConnectedAccountID, d.Metadata); err != nil {
			return Result{}, in.Ledger, err
		}
		if present := in.Account.Metadata; same(present, d.Metadata) {
			return a.result(d, present), d.settle(present), nil
		}
		// Some servers merge: what was to go and is still there is no longer ours, so it is not tried for ever.
		in.Ledger = in.Ledger.disown(d.Removed)
	}
}

// send writes the whole object and reads the account back.
func (t *Tagger) send(ctx context.Context, id string, md seam.Metadata) (seam.Account, error) {
	err := t.seam.UpdateMetadata(ctx, id, md)
	if errors.Is(err, seam.ErrNotFound) {
		return seam.Account{}, errAccountGone
	}
	if err != nil {
		return seam.Account{}, fmt.Errorf("update account: %w", err)
	}
	account, err := t.account(ctx, id)
	if err != nil {
		return seam.Account{}, fmt.Errorf("read back: %w", err)
	}
	return account, nil
}

// sending remembers the tags of an update that is about to be sent: whatever becomes of it, they are ours.
func (l Ledger) sending(d Decision, present seam.Metadata) Ledger {
	owned, pending := map[string]any{}, map[string]any{}
	maps.Copy(owned, l.Owned)
	maps.Copy(pending, l.Pending)
	for key, value := range d.ledger.Owned {
		if before, there := present[key]; there && l.wrote(key, before) {
			owned[key] = before
		}
		pending[key] = value
	}
	l.Owned, l.Pending = owned, pending
	return l
}

// disown gives up keys whose removal was asked for: if they are still there, then somebody wants them to be.
func (l Ledger) disown(keys []string) Ledger {
	owned, pending := maps.Clone(l.Owned), maps.Clone(l.Pending)
	for _, key := range keys {
		delete(owned, key)
		delete(pending, key)
	}
	l.Owned, l.Pending = owned, pending
	return l
}

// explain keeps where values come from. Later rounds find what the first one wrote.
func (a *attempt) explain(in *Input, d Decision, got computed) {
	keys, lookups := provenance(in, d, got)
	if a.updates == 0 {
		a.keys = keys
	}
	a.lookups = lookups
}

func (a *attempt) note(d Decision) {
	a.updates++
	maps.Copy(a.set, d.Set)
	maps.Copy(a.sources, d.Sources)
	for _, key := range d.Removed {
		a.removed[key] = true
	}
	for _, key := range d.Restored {
		a.restored[key] = d.Metadata[key]
	}
}

// result claims what the last reading shows.
func (a *attempt) result(d Decision, got seam.Metadata) Result {
	r := newResult(StatusUnchanged, "")
	r.Dropped, r.Rewrites = d.Dropped, max(0, a.updates-1)
	r.Before, r.After = a.before, got
	r.Keys, r.Lookups = a.keys, a.lookups
	r.OriginID, r.WebviewID = d.Origin.id(), d.Latest.id()
	for key, value := range a.set {
		if equal(got[key], value) {
			r.Set[key], r.Sources[key] = value, a.sources[key]
		}
	}
	for key, value := range a.restored {
		if _, set := r.Set[key]; !set && equal(got[key], value) {
			r.Restored, r.Sources[key] = append(r.Restored, key), a.sources[key]
		}
	}
	for key := range a.removed {
		if got[key] == nil {
			r.Removed = append(r.Removed, key)
		}
	}
	slices.Sort(r.Restored)
	slices.Sort(r.Removed)
	switch {
	case len(r.Set)+len(r.Removed)+len(r.Restored) > 0:
		r.Status = StatusTagged
	case len(a.set)+len(a.restored) > 0:
		r.Reason = ReasonChangedMeanwhile
	case len(a.removed) > 0:
		r.Reason = ReasonRemovalNotShown
	}
	return r
}

func (s *Sighting) id() string {
	if s == nil {
		return ""
	}
	return s.ID
}
