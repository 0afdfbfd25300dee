package metadata

import "seamtag/seam"

// Status is how the tagging of an account ended.
type Status string

// The ends of an event that this package knows. Failures are errors.
const (
	StatusTagged    Status = "tagged"    // something was written and the read-back shows it
	StatusUnchanged Status = "unchanged" // the account is as the rules want it
	StatusSkipped   Status = "skipped"   // there is no account to tag; Reason says why
)

// Reasons beside a status.
const (
	ReasonNoAccount        = "no_account"        // skipped: the event is not about an account
	ReasonLookupMissing    = "lookup_missing"    // skipped: a lookup with missing: skip found nothing
	ReasonAccountGone      = "account_gone"      // skipped: Seam no longer knows the account
	ReasonRemovalNotShown  = "removal_not_shown" // unchanged: only removals were due, and the server keeps such keys
	ReasonChangedMeanwhile = "changed_meanwhile" // unchanged: another writer undid all that was written, within the rules
)

// Result says what became of one account. As JSON it is kept with the event: it holds values of keys seamtag set, and
// of nothing else. Its collections are never nil.
type Result struct {
	Status Status `json:"-"`
	Reason string `json:"-"`

	Set      map[string]any    `json:"set"`      // keys written, with their values
	Removed  []string          `json:"removed"`  // tags no longer given, gone as the read-back shows; sorted
	Restored []string          `json:"restored"` // keys brought back after a reconnect; sorted
	Sources  map[string]string `json:"sources"`  // where each key of Set and Restored came from
	Dropped  []string          `json:"dropped,omitempty"`
	Rewrites int               `json:"rewrites,omitempty"` // updates sent again because of another writer
	Keys     []Key             `json:"keys,omitempty"`     // with rules: what became of each key they name; values of owned ones only
	Lookups  []Asked           `json:"lookups,omitempty"`  // with rules: how each lookup went

	WebviewID string        `json:"-"` // the latest known, empty when none is
	OriginID  string        `json:"-"` // the first known
	Before    seam.Metadata `json:"-"` // as first read, for a terminal; never stored or logged
	After     seam.Metadata `json:"-"` // as last read
}

func newResult(status Status, reason string) Result {
	return Result{
		Status: status, Reason: reason,
		Set: map[string]any{}, Removed: []string{}, Restored: []string{}, Sources: map[string]string{},
	}
}
