package queue

import "slices"

// Status is where an entry stands.
type Status string

// The statuses of an entry. The first two have not ended.
const (
	Queued    Status = "queued"
	Retrying  Status = "retrying"
	Tagged    Status = "tagged"
	Unchanged Status = "unchanged"
	Skipped   Status = "skipped"
	Dead      Status = "dead"
)

var terminal = []Status{Tagged, Unchanged, Skipped, Dead}

// Statuses lists all statuses, in the order an entry passes them.
func Statuses() []Status { return append([]Status{Queued, Retrying}, terminal...) }

// Ended says whether the status is terminal.
func (s Status) Ended() bool { return slices.Contains(terminal, s) }
