package queue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Diagnosis is what a look at this Redis shows.
type Diagnosis struct {
	Version  string
	Latency  time.Duration // of one command, the median of a few
	Ahead    time.Duration // how far the server's clock is before ours, to half a latency
	Used     int64         // bytes
	Most     int64         // bytes it may use; 0: no limit of its own
	Problems []Problem
}

const diagnoseTries = 7

// Diagnose measures and checks the Redis that holds the queue.
func (q *Queue) Diagnose(ctx context.Context) (Diagnosis, error) {
	node, err := q.primary(ctx)
	if err != nil {
		return Diagnosis{}, fmt.Errorf("queue: diagnose redis: %w", err)
	}
	text, err := node.Info(ctx).Result()
	if err != nil {
		return Diagnosis{}, fmt.Errorf("queue: diagnose redis: %w", err)
	}
	info := parseInfo(text)
	d := Diagnosis{Version: info["redis_version"], Problems: q.problems(ctx, node, info)}
	d.Used, _ = strconv.ParseInt(info["used_memory"], 10, 64) // 0 where a server does not say
	d.Most, _ = strconv.ParseInt(info["maxmemory"], 10, 64)
	took, ahead := make([]time.Duration, diagnoseTries), make([]time.Duration, diagnoseTries)
	for i := range took {
		asked := time.Now()
		at, err := node.Time(ctx).Result()
		if err != nil {
			return Diagnosis{}, fmt.Errorf("queue: diagnose redis: %w", err)
		}
		took[i] = time.Since(asked)
		ahead[i] = at.Sub(asked.Add(took[i] / 2))
	}
	slices.Sort(took)
	slices.Sort(ahead)
	d.Latency, d.Ahead = took[diagnoseTries/2], ahead[diagnoseTries/2]
	return d, nil
}
