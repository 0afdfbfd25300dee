package queue

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// shelf is what entries are found by: those that ended, or are being retried, stand on the one of their status, reason and
// type. Few differ: a list reads the shelves that it asks for and merges them, a count adds them up, and an entry costs one
// command to put there, whatever it is listed by.
type shelf struct {
	status Status
	reason string
	kind   string // the event's type
}

// name is the shelf's in Redis. The type stands last: it alone may hold a colon.
func (s shelf) name() string {
	return string(s.status) + ":" + shelfReason(s.reason) + ":" + s.kind
}

func shelfReason(reason string) string { return strings.ReplaceAll(reason, ":", "_") }

func parseShelf(name string) shelf {
	status, rest, _ := strings.Cut(name, ":")
	reason, kind, _ := strings.Cut(rest, ":")
	return shelf{Status(status), reason, kind}
}

// shelves reads which there are, in a fixed order.
func (q *Queue) shelves(ctx context.Context) ([]shelf, error) {
	names, err := q.rdb.SMembers(ctx, q.keys.shelves()).Result()
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	all := make([]shelf, len(names))
	for i, name := range names {
		all[i] = parseShelf(name)
	}
	return all, nil
}

// shelfKeys are the Redis keys of all shelves.
func (q *Queue) shelfKeys(ctx context.Context) ([]string, error) {
	all, err := q.shelves(ctx)
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = q.keys.shelf(s)
	}
	return names, err
}

// knownShelves remembers which shelves this process has made known, so that only the first entry on one pays for that.
type knownShelves struct {
	mu    sync.Mutex
	names map[string]bool
}

func (k *knownShelves) has(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.names[name]
}

func (k *knownShelves) add(names ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.names == nil {
		k.names = map[string]bool{}
	}
	for _, name := range names {
		k.names[name] = true
	}
}

// forget is for a Redis that lost its data.
func (k *knownShelves) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.names)
}
