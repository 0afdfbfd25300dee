package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// GapCheck is what the last comparison of Seam's events with the log found.
type GapCheck struct {
	At     time.Time `json:"at"`    // when it ended
	Since  time.Time `json:"since"` // what it looked at
	Until  time.Time `json:"until"`
	Found  int       `json:"found"`  // events at Seam
	Queued int       `json:"queued"` // of these, what no webhook had brought
}

// SaveGapCheck keeps the result of a check for every process to see.
func (q *Queue) SaveGapCheck(ctx context.Context, g GapCheck) error {
	text, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("queue: encode the gap check: %w", err)
	}
	if err := q.rdb.Set(ctx, q.keys.gap(), text, q.o.StateTTL).Err(); err != nil {
		return fmt.Errorf("queue: keep the gap check: %w", err)
	}
	return nil
}

// LastGapCheck is the last one that ended, of any process. False: none is known.
func (q *Queue) LastGapCheck(ctx context.Context) (GapCheck, bool, error) {
	text, err := q.rdb.Get(ctx, q.keys.gap()).Bytes()
	if errors.Is(err, redis.Nil) {
		return GapCheck{}, false, nil
	}
	if err != nil {
		return GapCheck{}, false, fmt.Errorf("queue: read the gap check: %w", err)
	}
	var g GapCheck
	if err := json.Unmarshal(text, &g); err != nil {
		return GapCheck{}, false, nil //nolint:nilerr // of another version: the next check writes a new one
	}
	return g, true, nil
}
