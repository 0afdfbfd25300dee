package cli

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"seamtag/config"
	"seamtag/seam"
)

// seamRequests is the metric that counts calls to Seam.
const seamRequests = "seamtag_seam_requests_total"

// newSeamClient makes the client of the configuration, its calls counted and traced.
func newSeamClient(c *config.Config, limiter seam.Limiter, registerer prometheus.Registerer) (*seam.Client, error) {
	observe, err := seamMetrics(registerer)
	if err != nil {
		return nil, err
	}
	client, err := seam.New(seam.Options{
		APIKey: c.SeamAPIKey.Reveal(), Endpoint: c.SeamEndpoint, WorkspaceID: c.SeamWorkspaceID, Limiter: limiter, Observe: observe,
		UserAgent: "seamtag/" + thisBuild().Version,
	})
	if err != nil {
		return nil, usage(&config.Error{Variable: "SEAM_API_KEY or SEAM_ENDPOINT", Problem: err.Error()})
	}
	return client, nil
}

// seamMetrics counts calls, and makes the spans of those that are traced; status 0 means that there was no answer.
func seamMetrics(r prometheus.Registerer) (func(ctx context.Context, endpoint string, status int, took time.Duration), error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: seamRequests, Help: "Calls to Seam, by endpoint and HTTP status; 0 is no answer.",
	}, []string{"endpoint", "status"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "seamtag_seam_request_duration_seconds", Help: "Time of a call to Seam, by endpoint.",
		Buckets: []float64{.025, .05, .1, .2, .4, .8, 1.5, 3, 6, 12, 30},
	}, []string{"endpoint"})
	err := errors.Join(r.Register(requests), r.Register(took))
	return func(ctx context.Context, endpoint string, status int, d time.Duration) {
		spanOfSeamCall(ctx, endpoint, status, d)
		requests.WithLabelValues(endpoint, strconv.Itoa(status)).Inc()
		took.WithLabelValues(endpoint).Observe(d.Seconds())
	}, err
}
