package queue_test

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// commands counts what a server has run, by command, those inside scripts included.
func commands(t *testing.T, rdb *redis.Client) map[string]int {
	t.Helper()
	text, err := rdb.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		n, _, _ := strings.Cut(rest, ",")
		if counts[name], err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	return counts
}

// since is what was run after an earlier count, but for what making a connection and counting itself cost.
func since(before, after map[string]int) map[string]int {
	diff := map[string]int{}
	for name, n := range after {
		if n -= before[name]; n > 0 && name != "info" && name != "hello" && !strings.HasPrefix(name, "client|") {
			diff[name] = n
		}
	}
	return diff
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// TestWhatAnEventAtRestCosts holds the budget: at most 4 calls and 20 commands, those inside scripts counted, for an event
// that comes alone, has an account, changes its state and calls Seam four times.
func TestWhatAnEventAtRestCosts(t *testing.T) {
	r := parts.Redis(t, "--appendfsync", "no")
	q, rdb := open(t, r), r.Client()
	p := publisher(t, q)
	pace := queue.NewPace(q, 10_000)
	o := queue.ConsumerOptions{Pace: pace, Sweep: time.Hour, Trim: time.Hour, Handler: func(ctx context.Context, d *queue.Delivery) (queue.Outcome, error) {
		for range 4 {
			if err := pace.Wait(ctx); err != nil {
				return queue.Outcome{}, err
			}
		}
		return queue.Outcome{Status: queue.Tagged, Result: []byte(`{}`), State: []byte(d.ID)}, nil
	}}
	consume(t, q, o)
	awaitStatus(t, q, publish(t, p, message(0)), queue.Tagged)
	const events = 40
	before := commands(t, rdb)
	var polls int
	for n := 1; n <= events; n++ {
		id := publish(t, p, message(n))
		await(t, "ended", func() bool { polls++; return entry(t, q, id).Status == queue.Tagged })
	}
	cost := since(before, commands(t, rdb))
	delete(cost, "xrange") // the polls
	delete(cost, "hgetall")
	calls := cost["evalsha"] + cost["xreadgroup"]
	for _, name := range slices.Sorted(maps.Keys(cost)) {
		t.Logf("%-12s %5.2f an event", name, float64(cost[name])/events)
	}
	if calls > 4*events+2 || sum(cost) > 20*events {
		t.Errorf("%.2f calls and %.2f commands an event, want at most 4 and 20", float64(calls)/events, float64(sum(cost))/events)
	}
}

// TestWhatAnIdleProcessCosts shortens the periods to a twentieth: three reads that find nothing are a minute.
func TestWhatAnIdleProcessCosts(t *testing.T) {
	r := parts.Redis(t, "--appendfsync", "no")
	q, rdb := open(t, r), r.Client()
	check := queue.NewHealthCheck(q)
	o := queue.ConsumerOptions{Handler: tag, Block: time.Second, Sweep: 1500 * time.Millisecond, Trim: 3 * time.Second}
	consume(t, q, o)
	awaitStatus(t, q, publish(t, publisher(t, q), message(0)), queue.Tagged)
	await(t, "nothing waits", func() bool { return check.Health(t.Context()).Waiting == 0 })
	before := commands(t, rdb)
	var cost map[string]int
	await(t, "a minute", func() bool {
		if h := check.Health(t.Context()); h.Err != nil { // asked much more often than a platform does
			t.Fatal(h.Err)
		}
		cost = since(before, commands(t, rdb))
		return cost["xreadgroup"] >= 3
	})
	if sum(cost) > 10 {
		t.Errorf("%d commands in a minute of nothing: %v", sum(cost), cost)
	}
	t.Logf("%d: %v", sum(cost), cost)
}
