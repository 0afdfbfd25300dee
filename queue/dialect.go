package queue

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// dialect is what a server understands on the first line of a script.
type dialect struct {
	full bool // allow-oom: the script may write on a full server. Redis 7 and Valkey.
	lock bool // allow-key-locking: the script locks its keys instead of the whole database. Upstash; Redis refuses it.
}

// dialects from the most able to the one that every server understands: no first line at all (Redis 6.2, miniredis).
var dialects = [...]dialect{{full: true, lock: true}, {full: true}, {lock: true}, {}}

func (d dialect) head(whenFull bool) string {
	var flags []string
	if d.full && whenFull {
		flags = append(flags, "allow-oom")
	}
	if d.lock {
		flags = append(flags, "allow-key-locking")
	}
	if len(flags) == 0 {
		return ""
	}
	return "#!lua flags=" + strings.Join(flags, ",") + "\n"
}

// spoken is the dialect of a queue's server, found out with the first script.
type spoken struct {
	mu    sync.Mutex
	known atomic.Int32 // index in dialects, from 1; 0 = not asked yet
}

// run runs a script. The server forgets scripts when it restarts and when somebody flushes them, and then it may be
// another server: so it is asked anew what it understands.
func (q *Queue) run(ctx context.Context, s *script, keys []string, args ...any) *redis.Cmd {
	n, err := q.speak(ctx)
	if err == nil {
		cmd := s[n].EvalSha(ctx, q.rdb, keys, args...)
		if !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			return cmd
		}
		if n, err = q.relearn(ctx, n); err == nil {
			return s[n].Eval(ctx, q.rdb, keys, args...)
		}
	}
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(err)
	return cmd
}

// speak answers which of the dialects the server understands.
func (q *Queue) speak(ctx context.Context) (int, error) {
	if n := q.dialect.known.Load(); n > 0 {
		return int(n - 1), nil
	}
	return q.relearn(ctx, -1)
}

// relearn finds out what the server understands, unless another call did since n was the answer.
func (q *Queue) relearn(ctx context.Context, n int) (int, error) {
	q.dialect.mu.Lock()
	defer q.dialect.mu.Unlock()
	if known := int(q.dialect.known.Load()); known > 0 && known-1 != n {
		return known - 1, nil
	}
	var err error
	for i, d := range dialects {
		err = q.rdb.Eval(ctx, d.head(runsWhenFull)+"return 1", []string{q.keys.log()}).Err()
		if err == nil {
			q.dialect.known.Store(int32(i) + 1)
			return i, nil
		}
		if !strings.HasPrefix(err.Error(), "ERR ") {
			break // no answer, or LOADING, READONLY and the like: it did not come to reading the script
		}
	}
	return 0, fmt.Errorf("ask redis which scripts it runs: %w", err)
}
