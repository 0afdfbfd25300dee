package queue

import (
	"context"
	"fmt"
	"time"
)

// Note remembers a name for a time, for all processes. What names mean is their writer's business.
func (q *Queue) Note(ctx context.Context, name string, keep time.Duration) error {
	if err := q.rdb.Set(ctx, q.keys.note(name), 1, keep).Err(); err != nil {
		return fmt.Errorf("queue: note: %w", err)
	}
	return nil
}

// Noted tells whether a name is remembered.
func (q *Queue) Noted(ctx context.Context, name string) (bool, error) {
	n, err := q.rdb.Exists(ctx, q.keys.note(name)).Result()
	if err != nil {
		return false, fmt.Errorf("queue: look up a note: %w", err)
	}
	return n > 0, nil
}
