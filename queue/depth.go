package queue

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	depthWithin = 2 * time.Second
	depthFor    = 10 * time.Minute // how long an answer is good for while this process sees nothing happen
)

// depthCollector reads the queue's depth when it is scraped. While nothing waits and this process neither accepts nor ends
// anything, it shows what it read before: a scrape every 15 s would otherwise be most of what an idle process asks of Redis.
type depthCollector struct {
	q                             *Queue
	depth, age, memory, maxMemory *prometheus.Desc

	mu   sync.Mutex
	last *reading
}

// reading is what was read, and when.
type reading struct {
	at                time.Time
	changes           uint64 // that this process had made by then
	stats             Stats
	memory, maxMemory float64 // bytes; negative where Redis does not say
}

// RegisterDepth registers seamtag_queue_depth, seamtag_queue_oldest_age_seconds and Redis' memory. While Redis does not
// answer they are absent: unknown is not zero.
func RegisterDepth(r prometheus.Registerer, q *Queue) error {
	return register(r, &depthCollector{
		q: q,
		depth: prometheus.NewDesc("seamtag_queue_depth",
			"Retained entries by state. waiting has not ended; retrying and due (waits for its time) are of these.", []string{"state"}, nil),
		age: prometheus.NewDesc("seamtag_queue_oldest_age_seconds",
			"Age of the oldest entry that has not ended, 0 where there is none.", nil, nil),
		memory: prometheus.NewDesc("seamtag_redis_memory_bytes", "Memory that Redis uses.", nil, nil),
		maxMemory: prometheus.NewDesc("seamtag_redis_memory_limit_bytes",
			"Memory that Redis may use, 0 where there is no limit.", nil, nil),
	})
}

// Describe implements prometheus.Collector.
func (d *depthCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- d.depth
	ch <- d.age
	ch <- d.memory
	ch <- d.maxMemory
}

// Collect implements prometheus.Collector.
func (d *depthCollector) Collect(ch chan<- prometheus.Metric) {
	r := d.read()
	if r == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	gauge(d.depth, float64(r.stats.Waiting), "waiting")
	gauge(d.depth, float64(r.stats.Retrying), string(Retrying))
	gauge(d.depth, float64(r.stats.Due), "due")
	for status, n := range r.stats.Ended {
		gauge(d.depth, float64(n), string(status))
	}
	age := 0.0
	if !r.stats.Oldest.IsZero() {
		age = max(0, time.Since(r.stats.Oldest).Seconds())
	}
	gauge(d.age, age)
	if r.memory >= 0 {
		gauge(d.memory, r.memory)
		gauge(d.maxMemory, max(0, r.maxMemory))
	}
}

// read answers the present reading, nil where Redis does not answer.
func (d *depthCollector) read() *reading {
	d.mu.Lock()
	defer d.mu.Unlock()
	changes := d.q.changes.Load()
	if d.last != nil && d.last.stats.Waiting == 0 && d.last.changes == changes && time.Since(d.last.at) < depthFor {
		return d.last
	}
	d.last = nil
	ctx, cancel := context.WithTimeout(context.Background(), depthWithin)
	defer cancel()
	s, err := d.q.Stats(ctx)
	if err != nil {
		return nil
	}
	d.last = &reading{at: time.Now(), changes: changes, stats: s}
	d.last.memory, d.last.maxMemory = d.q.memory(ctx)
	return d.last
}

// memory is what Redis uses and may use, in bytes; negative where it does not say.
func (q *Queue) memory(ctx context.Context) (used, limit float64) {
	node, err := q.primary(ctx)
	if err != nil {
		return -1, -1
	}
	text, err := node.Info(ctx, "memory").Result()
	if err != nil {
		return -1, -1
	}
	info := parseInfo(text)
	return bytesOf(info["used_memory"]), bytesOf(info["maxmemory"])
}

func bytesOf(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return -1
	}
	return n
}
