package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrBusy is what ReplaceState answers while a worker holds the key: it would store over what is put there.
var ErrBusy = errors.New("queue: a worker holds the key")

const (
	scanCount  = 500 // a hint to SCAN: what bounds the time of one call
	statesRead = 250 // states in one round trip; one is a few KB
)

// State is what the handlers remember of a key; nil where they remember nothing.
func (q *Queue) State(ctx context.Context, key string) ([]byte, error) {
	states, err := q.States(ctx, key)
	if err != nil {
		return nil, err
	}
	return states[0], nil
}

// States is State for many keys in one round trip, in their order.
func (q *Queue) States(ctx context.Context, keys ...string) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = q.keys.state(key)
	}
	values, err := q.rdb.MGet(ctx, names...).Result()
	if err != nil {
		return nil, fmt.Errorf("queue: read states: %w", err)
	}
	states := make([][]byte, len(keys))
	for i, value := range values {
		if text, ok := value.(string); ok {
			states[i] = []byte(text)
		}
	}
	return states, nil
}

// EachState visits the state of every key, in no order, without blocking Redis. A key whose state changes meanwhile is
// visited with one of its states; one that changes its place in Redis can be visited twice.
func (q *Queue) EachState(ctx context.Context, visit func(key string, state []byte) error) error {
	node, err := q.primary(ctx)
	if err != nil {
		return fmt.Errorf("queue: list states: %w", err)
	}
	prefix := q.keys.state("")
	found := node.Scan(ctx, 0, globOf(prefix)+"*", scanCount).Iterator()
	keys := make([]string, 0, statesRead)
	for more := true; more; {
		keys = keys[:0]
		for len(keys) < statesRead {
			if more = found.Next(ctx); !more {
				break
			}
			keys = append(keys, strings.TrimPrefix(found.Val(), prefix))
		}
		states, err := q.States(ctx, keys...)
		if err != nil {
			return err
		}
		for i, state := range states {
			if state == nil {
				continue // expired since
			}
			if err := visit(keys[i], state); err != nil {
				return err
			}
		}
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("queue: list states: %w", err)
	}
	return nil
}

// globOf is a pattern that matches the text itself.
func globOf(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// ReplaceState puts a state in the place of the one that was read before; nil is none. False says that it is another one by
// now and nothing was changed, ErrBusy that a worker holds the key.
func (q *Queue) ReplaceState(ctx context.Context, key string, old, state []byte) (bool, error) {
	keys := []string{q.keys.state(key), q.keys.lock(key)}
	n, err := q.run(ctx, stateScript, keys, old, state, q.o.StateTTL.Milliseconds()).Int()
	switch {
	case err != nil:
		return false, fmt.Errorf("queue: store a state: %w", err)
	case n < 0:
		return false, ErrBusy
	}
	return n == 1, nil
}

// KnownEvents tells which event ids the log has seen within the retention, in their order.
func (q *Queue) KnownEvents(ctx context.Context, eventIDs ...string) ([]bool, error) {
	if len(eventIDs) == 0 {
		return nil, nil
	}
	marks := make([]*redis.IntCmd, len(eventIDs))
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range eventIDs {
			marks[i] = p.Exists(ctx, q.keys.event(id))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("queue: look for known events: %w", err)
	}
	known := make([]bool, len(eventIDs))
	for i, mark := range marks {
		known[i] = mark.Val() == 1
	}
	return known, nil
}

// recentEntries bounds how many entries of one key Open looks at: what has not ended is among the newest.
const recentEntries = 100

// Open tells whether an entry of the key has not ended.
func (q *Queue) Open(ctx context.Context, key string) (bool, error) {
	ids, err := q.rdb.ZRevRange(ctx, q.keys.index(key), 0, recentEntries-1).Result()
	if err != nil {
		return false, fmt.Errorf("queue: look for open entries: %w", err)
	}
	if len(ids) == 0 {
		return false, nil
	}
	scores, err := q.rdb.ZMScore(ctx, q.keys.open(), ids...).Result()
	if err != nil {
		return false, fmt.Errorf("queue: look for open entries: %w", err)
	}
	for _, score := range scores {
		if score > 0 { // ZMSCORE answers nothing for what is not there, go-redis makes it 0
			return true, nil
		}
	}
	return false, nil
}

// TakeTurn lets one of several processes do something that is done once in a while: true for the first that asks, until
// the time has passed or the turn is given back.
func (q *Queue) TakeTurn(ctx context.Context, name string, lasts time.Duration) (bool, error) {
	took, err := q.rdb.SetNX(ctx, q.keys.turn(name), 1, lasts).Result()
	if err != nil {
		return false, fmt.Errorf("queue: take the turn of %s: %w", name, err)
	}
	return took, nil
}

// GiveBackTurn lets another process try what this one could not do. Only who has the turn may.
func (q *Queue) GiveBackTurn(ctx context.Context, name string) error {
	if err := q.rdb.Del(ctx, q.keys.turn(name)).Err(); err != nil {
		return fmt.Errorf("queue: give back the turn of %s: %w", name, err)
	}
	return nil
}
