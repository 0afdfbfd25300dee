package queue

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type consumerMetrics struct {
	events  *prometheus.CounterVec
	age     prometheus.Histogram
	rescued prometheus.Counter
}

func newConsumerMetrics(r prometheus.Registerer, g *gate) (*consumerMetrics, error) {
	m := &consumerMetrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "seamtag_events_total", Help: "Attempts that ended, by status and reason.",
		}, []string{"status", "reason"}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "seamtag_event_age_seconds", Help: "Time from accepting an event to its end.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 86400},
		}),
		rescued: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "seamtag_events_rescued_total", Help: "Entries taken over from workers that died.",
		}),
	}
	paused := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "seamtag_paused", Help: "1 while this process pauses, 0 while it works.",
	}, func() float64 {
		if g.current() != nil {
			return 1
		}
		return 0
	})
	return m, register(r, m.events, m.age, m.rescued, paused)
}

func register(r prometheus.Registerer, all ...prometheus.Collector) error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, c := range all {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

func (m *consumerMetrics) settled(v verdict) {
	m.events.WithLabelValues(string(v.Status), v.Reason).Inc()
	if v.Status.Ended() {
		m.age.Observe(time.Since(v.Delivery.ReceivedAt).Seconds())
	}
}

// depthCollector reads the queue's depth when it is scraped.
type depthCollector struct {
	q           *Queue
	depth, age  *prometheus.Desc
	readTimeout time.Duration
}

// RegisterDepth registers seamtag_queue_depth and seamtag_queue_oldest_age_seconds, read anew at each scrape. While Redis
// does not answer they are absent: unknown is not zero.
func RegisterDepth(r prometheus.Registerer, q *Queue) error {
	return register(r, &depthCollector{
		q: q, readTimeout: 2 * time.Second,
		depth: prometheus.NewDesc("seamtag_queue_depth", "Entries by state: waiting has not ended, due of these waits for its time.", []string{"state"}, nil),
		age:   prometheus.NewDesc("seamtag_queue_oldest_age_seconds", "Age of the oldest entry that has not ended, 0 where there is none.", nil, nil),
	})
}

// Describe implements prometheus.Collector.
func (d *depthCollector) Describe(ch chan<- *prometheus.Desc) { ch <- d.depth; ch <- d.age }

// Collect implements prometheus.Collector.
func (d *depthCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), d.readTimeout)
	defer cancel()
	s, err := d.q.Stats(ctx)
	if err != nil {
		return
	}
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	gauge(d.depth, float64(s.Waiting), "waiting")
	gauge(d.depth, float64(s.Due), "due")
	for status, n := range s.Ended {
		gauge(d.depth, float64(n), string(status))
	}
	age := 0.0
	if !s.Oldest.IsZero() {
		age = max(0, time.Since(s.Oldest).Seconds())
	}
	gauge(d.age, age)
}
