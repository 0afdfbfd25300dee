package lookup

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/maypok86/otter/v2"
)

// maxCacheBytes bounds what one lookup remembers, estimated.
const maxCacheBytes = 32 << 20

type cacheKey = [sha256.Size]byte

// entry is one remembered answer.
type entry struct {
	value   any
	missing bool
	at      time.Time // when the system said it
	until   time.Time
}

// cache remembers answers for a time, at most so many and at most so many bytes.
type cache struct {
	entries *otter.Cache[cacheKey, entry]
	hits    time.Duration // how long an answer is remembered
	misses  time.Duration // how long it is remembered that there is none
}

// newCache lets an entry weigh its bytes, at least its share, so that one bound holds for number and bytes alike.
// Expiry is checked by the reader, so that no goroutine lives here.
func newCache(o Options) (*cache, error) {
	share := max(1, maxCacheBytes/o.MaxEntries)
	entries, err := otter.New(&otter.Options[cacheKey, entry]{
		MaximumWeight: uint64(share) * uint64(o.MaxEntries), //nolint:gosec // both are positive
		Weigher: func(_ cacheKey, e entry) uint32 {
			return uint32(min(math.MaxUint32, max(share, weight(e.value)))) //nolint:gosec // bounded by min
		},
		Executor: func(maintain func()) { maintain() },
	})
	if err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	return &cache{entries: entries, hits: o.Cache, misses: o.CacheMisses}, nil
}

func (c *cache) get(key cacheKey, now time.Time) (entry, bool) {
	found, ok := c.entries.GetIfPresent(key)
	return found, ok && now.Before(found.until)
}

// put remembers e unless its kind of answer is not remembered.
func (c *cache) put(key cacheKey, e entry) {
	keep := c.hits
	if e.missing {
		keep = c.misses
	}
	if keep > 0 {
		e.until = e.at.Add(keep)
		c.entries.Set(key, e)
	}
}

// weight estimates the bytes that a decoded value takes.
func weight(value any) int {
	const overhead = 48
	switch value := value.(type) {
	case string:
		return overhead + len(value)
	case json.Number:
		return overhead + len(value)
	case []any:
		sum := overhead
		for _, item := range value {
			sum += weight(item)
		}
		return sum
	case map[string]any:
		sum := overhead
		for name, item := range value {
			sum += overhead + len(name) + weight(item)
		}
		return sum
	default:
		return overhead
	}
}
