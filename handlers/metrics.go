package handlers

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of a webhook request: the metric's label and the log's word for it.
const (
	queued       = "queued"
	duplicate    = "duplicate"
	ignored      = "ignored"
	badHeaders   = "bad_headers"
	badBody      = "bad_body"
	badTime      = "bad_time"
	badSignature = "bad_signature"
	tooLarge     = "too_large"
	unavailable  = "unavailable"
)

// metrics of the webhook. Every outcome is there from the start, so that a rate over it never begins with a gap.
type metrics struct {
	requests map[string]prometheus.Counter
	duration prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seamtag_webhook_requests_total",
		Help: "Webhook requests by what became of them.",
	}, []string{"outcome"})
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "seamtag_webhook_duration_seconds",
		Help:    "Time to answer a webhook request, its body read and its message accepted by Redis.",
		Buckets: []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	})
	if r != nil {
		for _, c := range []prometheus.Collector{requests, duration} {
			if err := r.Register(c); err != nil {
				return nil, fmt.Errorf("handlers: register metrics: %w", err)
			}
		}
	}
	m := &metrics{requests: map[string]prometheus.Counter{}, duration: duration}
	for _, outcome := range []string{
		queued, duplicate, ignored, badHeaders, badBody, badTime, badSignature, tooLarge, unavailable,
	} {
		m.requests[outcome] = requests.WithLabelValues(outcome)
	}
	return m, nil
}

func (m *metrics) observe(outcome string, took time.Duration) {
	m.requests[outcome].Inc()
	m.duration.Observe(took.Seconds())
}
