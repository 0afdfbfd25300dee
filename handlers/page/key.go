package page

import (
	"strconv"
	"strings"
	"time"
)

// Key tells one key of an account's metadata. Its JSON is what the worker keeps with an event.
type Key struct {
	Key     string   `json:"key"`
	Change  string   `json:"change"` // set, kept, removed, restored, absent or waits
	Owned   bool     `json:"owned"`
	Before  any      `json:"before"` // nil: not there, or not kept
	After   any      `json:"after"`
	Source  string   `json:"source"`  // the expression or map that it comes from
	Lookups []string `json:"lookups"` // that the expression names
	Why     string   `json:"why"`
}

// Lookup tells how asking one of the operator's own systems went.
type Lookup struct {
	Name       string  `json:"lookup"`
	System     string  `json:"system"`
	Found      bool    `json:"found"`
	Cached     bool    `json:"cached"`
	AgeSeconds float64 `json:"age_seconds"` // since the system said it
	TookMS     int64   `json:"took_ms"`
	Error      string  `json:"error"`
}

// Answer is how it went, in words.
func (l Lookup) Answer() string {
	var words []string
	switch {
	case l.Error != "":
		words = append(words, "failed: "+l.Error)
	case l.Found:
		words = append(words, "found")
	default:
		words = append(words, "found nothing")
	}
	if l.Cached {
		words = append(words, "known for "+span(time.Duration(l.AgeSeconds*float64(time.Second))))
	} else {
		words = append(words, "asked, took "+strconv.FormatInt(l.TookMS, 10)+" ms")
	}
	return strings.Join(words, ", ")
}

// keyChange is a key as the page shows it.
type keyChange struct {
	Key, What, Before, After, Source, Why string
	Owned, HasBefore, HasAfter            bool
	NoBefore, NoAfter                     string // what is shown instead
	Lookups                               []string
}

// The words for what becomes of a key that this package reads or writes itself.
const (
	keySet      = "set"
	keyKept     = "kept"
	keyRemoved  = "removed"
	keyRestored = "restored"
)

// What is said where there is no value to show.
const (
	absent  = "not there"
	notKept = "not kept"
)

// shown is the key for the page; none is what a missing value means.
func (k *Key) shown(reveal bool, none string) keyChange {
	c := keyChange{
		Key: k.Key, What: k.Change, Source: k.Source, Why: k.Why, Owned: k.Owned, Lookups: k.Lookups,
		HasBefore: k.Before != nil, HasAfter: k.After != nil, NoBefore: none, NoAfter: none,
	}
	if c.HasBefore {
		c.Before = shown(k.Key, k.Before, reveal)
	}
	switch {
	case k.Change == keyRemoved:
		c.HasAfter, c.NoAfter = false, absent
	case c.HasAfter:
		c.After = shown(k.Key, k.After, reveal)
	}
	return c
}
