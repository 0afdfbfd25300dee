package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Health is what readiness shows of the queue.
type Health struct {
	Err      error       // Redis did not answer
	Paused   *PauseState // of the workers of any process; nil while none pauses
	Waiting  int64       // entries that have not ended
	Oldest   time.Time   // arrival of the oldest of them; zero where there is none
	Problems []Problem   // what is dangerous about this Redis
}

// Problem is something dangerous about a Redis, said with its mend.
type Problem struct {
	Text  string
	Fatal bool // accepted events can vanish, or nothing works at all
}

const (
	healthFor     = 30 * time.Second // how long an answer is good for, while commands go well
	healthForIdle = time.Minute      // and where nothing was waiting and other commands show that Redis is there
	healthTries   = 2 * time.Second
	checkEvery    = 10 * time.Minute
)

// HealthCheck answers how the queue is, from what the last commands showed where that is recent enough.
type HealthCheck struct {
	q *Queue

	mu      sync.Mutex
	last    Health
	at      time.Time
	found   []Problem // by the last Check
	checked time.Time
}

// NewHealthCheck prepares a check.
func NewHealthCheck(q *Queue) *HealthCheck { return &HealthCheck{q: q} }

// Health is safe for concurrent use and answers within 2 s.
func (h *HealthCheck) Health(ctx context.Context) Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.good() {
		return h.last
	}
	ctx, cancel := context.WithTimeout(ctx, healthTries)
	defer cancel()
	if h.last, h.at = h.q.health(ctx), time.Now(); h.last.Err != nil {
		return h.last
	}
	if time.Since(h.checked) > checkEvery {
		if found, err := h.q.Check(ctx); err == nil {
			h.found, h.checked = found, time.Now()
		}
	}
	h.last.Problems = append(h.last.Problems, h.found...)
	return h.last
}

// good says whether the last answer still is.
func (h *HealthCheck) good() bool {
	seen := &h.q.seen
	if h.last.Err != nil || h.last.Paused != nil || seen.failed.Load() >= h.at.UnixMilli() || seen.refused.Load() != nil {
		return false
	}
	age := time.Since(h.at)
	idle := h.last.Waiting == 0 && time.Since(time.UnixMilli(seen.ok.Load())) < healthFor
	return age < healthFor || idle && age < healthForIdle
}

// health asks for no more than it must: an idle process is allowed ten commands a minute.
func (q *Queue) health(ctx context.Context) Health {
	var paused *redis.StringCmd
	var oldest *redis.ZSliceCmd
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		paused = p.Get(ctx, q.keys.pause())
		oldest = p.ZRangeWithScores(ctx, q.keys.open(), 0, 0)
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return Health{Err: err}
	}
	h := Health{Oldest: oldestOf(oldest), Paused: parsePause(paused.Val())}
	if !h.Oldest.IsZero() {
		if h.Waiting, err = q.rdb.ZCard(ctx, q.keys.open()).Result(); err != nil {
			return Health{Err: err}
		}
	}
	if q.seen.refused.Load() != nil {
		if h.Err = q.tryWrite(ctx); h.Err != nil {
			return h
		}
		if refused := q.seen.refused.Load(); refused != nil {
			h.Problems = append(h.Problems, *refused)
		}
	}
	return h
}

// tryWrite finds out whether a server that refused a write takes one now.
func (q *Queue) tryWrite(ctx context.Context) error {
	err := q.rdb.Set(ctx, q.keys.probe(), 1, time.Minute).Err()
	switch {
	case err == nil:
		q.seen.refused.Store(nil)
	case refusalOf(err) == nil:
		return fmt.Errorf("try a write: %w", err)
	}
	return nil
}

// refusals are the errors of a server that is there and takes no writes, each with its mend.
var refusals = []struct{ said, means string }{
	{"OOM command not allowed", "redis is full, so no more events are accepted while what it holds is worked off: " +
		"give it more memory or set a shorter SEAMTAG_RETENTION"},
	{"quota exceeded", "redis is full, so no more events are accepted while what it holds is worked off: " +
		"choose a larger plan or set a shorter SEAMTAG_RETENTION"},
	{"MISCONF", "redis takes no writes as it cannot save to its disk: mend the disk, see the server's log"},
	{"NOREPLICAS", "redis takes no writes as it has too few replicas: start them, or lower min-replicas-to-write"},
}

// refusalOf is the problem that an error of the server shows, nil where it is another.
func refusalOf(err error) *Problem {
	for _, r := range refusals {
		if strings.Contains(err.Error(), r.said) {
			return &Problem{Text: r.means, Fatal: true}
		}
	}
	return nil
}

// oldestVersion is the first Redis with all commands that the scripts use (XAUTOCLAIM, XTRIM MINID).
var oldestVersion = [2]int{6, 2}

// Check looks for what is dangerous about this Redis: each finding says what it is and how to mend it.
func (q *Queue) Check(ctx context.Context) ([]Problem, error) {
	node, err := q.primary(ctx)
	if err != nil {
		return nil, fmt.Errorf("queue: check redis: %w", err)
	}
	text, err := node.Info(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("queue: check redis: %w", err)
	}
	return q.problems(ctx, node, parseInfo(text)), nil
}

func (q *Queue) problems(ctx context.Context, node redis.UniversalClient, info map[string]string) []Problem {
	return append(problemsOf(info, q.o.Mode), missingOf(ctx, node)...)
}

// youngCommands are those that the oldest version brought, or that servers which only speak Redis's protocol lack.
var youngCommands = []string{"xautoclaim", "getdel", "zmscore", "xreadgroup", "xclaim", "evalsha", "wait"}

// missingOf asks which commands the server lacks. One that does not tell, or not to us, is taken to have them.
func missingOf(ctx context.Context, node redis.UniversalClient) []Problem {
	args := append(make([]any, 0, 2+len(youngCommands)), "COMMAND", "INFO")
	for _, name := range youngCommands {
		args = append(args, name)
	}
	infos, err := node.Do(ctx, args...).Slice()
	if err != nil || len(infos) != len(youngCommands) {
		return nil
	}
	var missing []string
	for i, info := range infos {
		if info == nil {
			missing = append(missing, youngCommands[i])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return []Problem{{"redis lacks the commands " + strings.Join(missing, ", ") + ": use Redis 6.2 or newer, or Valkey", true}}
}

func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

func problemsOf(info map[string]string, mode Mode) []Problem {
	problems := []Problem{}
	if info["cluster_enabled"] == "1" && mode != Cluster {
		problems = append(problems, Problem{"this redis is a node of a Cluster: set REDIS_MODE=cluster", true})
	}
	if info["role"] == "slave" {
		problems = append(problems, Problem{"this redis is a replica and takes no writes: let REDIS_URL name the primary, " +
			"or use REDIS_MODE=sentinel", true})
	}
	if info["aof_last_write_status"] == "err" {
		problems = append(problems, Problem{"redis could not write its append-only file: mend the disk, see the server's log", true})
	}
	if v := info["redis_version"]; v != "" && olderThan(v, oldestVersion) {
		problems = append(problems, Problem{"redis " + v + " is too old: use 6.2 or newer", true})
	}
	if policy := info["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		problems = append(problems, Problem{
			"the eviction policy is " + policy + ", so accepted events can be dropped: set maxmemory-policy noeviction", true,
		})
	}
	if info["aof_enabled"] == "0" {
		problems = append(problems, Problem{
			"there is no append-only file, so accepted events can be lost when redis ends: set appendonly yes", false,
		})
	}
	return problems
}

func olderThan(version string, least [2]int) bool {
	parts := strings.SplitN(version, ".", 3)
	for i, want := range least {
		if i >= len(parts) {
			return true
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return false
		}
		if n != want {
			return n < want
		}
	}
	return false
}
