package lookup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of one Ask, as the metric's label.
const (
	outcomeHit      = "hit"      // asked and found
	outcomeMissing  = "missing"  // asked and found nothing, or not asked because a parameter is null
	outcomeCached   = "cached"   // found in the cache, or in what another Ask was just told
	outcomeMiss     = "miss"     // remembered that there is nothing
	outcomeError    = "error"    // could not find out
	outcomeTimeout  = "timeout"  // no answer, or no free slot, in time
	outcomeOpen     = "open"     // the circuit breaker is open
	outcomeBusy     = "busy"     // too many callers wait already
	outcomeCanceled = "canceled" // the caller left, or the lookup was closed
)

// Metrics count asks by lookup and outcome. One Metrics serves all lookups, those after a reload too.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics registers the metrics once.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "seamtag_lookup_requests_total",
			Help: "Answers of lookups: hit and missing were asked, cached and miss remembered, the others failed.",
		}, []string{"lookup", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "seamtag_lookup_duration_seconds",
			Help:    "Time that asking a system took, its retries included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"lookup"}),
	}
	for _, collector := range []prometheus.Collector{m.requests, m.duration} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register lookup metrics: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) count(lookup, outcome string) {
	if m != nil {
		m.requests.WithLabelValues(lookup, outcome).Inc()
	}
}

func (m *Metrics) observe(lookup string, took time.Duration) {
	if m != nil {
		m.duration.WithLabelValues(lookup).Observe(took.Seconds())
	}
}

func outcomeOf(answer Answer, err error) string {
	lookupErr, isLookupErr := errors.AsType[*Error](err)
	switch {
	case isLookupErr && lookupErr.Kind == Timeout:
		return outcomeTimeout
	case isLookupErr && lookupErr.Kind == Open:
		return outcomeOpen
	case isLookupErr && lookupErr.Kind == Busy:
		return outcomeBusy
	case isCanceled(err), errors.Is(err, context.DeadlineExceeded): // the caller's own
		return outcomeCanceled
	case err != nil:
		return outcomeError
	case answer.Missing && answer.Cached:
		return outcomeMiss
	case answer.Missing:
		return outcomeMissing
	case answer.Cached:
		return outcomeCached
	default:
		return outcomeHit
	}
}
