package queue

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type consumerMetrics struct {
	events  *prometheus.CounterVec
	age     prometheus.Histogram
	rescued prometheus.Counter
}

func newConsumerMetrics(r prometheus.Registerer, g *gate, held func() time.Duration) (*consumerMetrics, error) {
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
	hold := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "seamtag_seam_hold_seconds", Help: "For how long calls to Seam are held back after a 429, as this process knows; 0: they are not.",
	}, func() float64 { return held().Seconds() })
	return m, register(r, m.events, m.age, m.rescued, paused, hold)
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
