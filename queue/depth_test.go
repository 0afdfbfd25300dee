package queue_test

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// scrape answers the gauges as a scrape sees them, by name and state.
func scrape(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := []string{f.GetName()}
			for _, l := range m.GetLabel() {
				name = append(name, l.GetValue())
			}
			values[strings.Join(name, " ")] = m.GetGauge().GetValue()
		}
	}
	return values
}

// reads counts how often Redis was asked for a count.
func reads(t *testing.T, r *parts.RedisServer) int {
	t.Helper()
	text, err := r.Client().Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`cmdstat_zcard:calls=(\d+)`).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDepthIsReadAnewOnlyWhereItMayHaveChanged(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	registry := prometheus.NewRegistry()
	if err := queue.RegisterDepth(registry, q); err != nil {
		t.Fatal(err)
	}
	empty := scrape(t, registry)
	if empty["seamtag_queue_depth waiting"] != 0 || empty["seamtag_redis_memory_bytes"] < 1e5 || len(empty) != 10 {
		t.Errorf("empty: %v", empty)
	}
	idle := reads(t, r)
	scrape(t, registry)
	if n := reads(t, r); n != idle {
		t.Errorf("an idle process read %d counts again", n-idle)
	}
	id := publish(t, publisher(t, q), message(1))
	for range 2 { // while something waits it ages, and others may end it
		before := reads(t, r)
		full := scrape(t, registry)
		if full["seamtag_queue_depth waiting"] != 1 || reads(t, r) == before {
			t.Errorf("one waits: %v", full)
		}
	}
	consume(t, q, quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
		return queue.Outcome{}, queue.After(time.Hour, "seam_unavailable", errors.New("not yet"))
	}))
	awaitStatus(t, q, id, queue.Retrying)
	if v := scrape(t, registry); v["seamtag_queue_depth retrying"] != 1 || v["seamtag_queue_depth due"] != 1 {
		t.Errorf("retrying: %v", v)
	}
	r.Kill()
	if v := scrape(t, registry); len(v) != 0 {
		t.Errorf("Redis is away: %v", v)
	}
	r.Start() // a client that still dials ends in order
	await(t, "the depth is back", func() bool { return len(scrape(t, registry)) == 10 })
}
