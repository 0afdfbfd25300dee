package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"seamtag/alerts"
	"seamtag/config"
	"seamtag/handlers"
	"seamtag/metadata"
	"seamtag/metadata/lookup"
	"seamtag/queue"
	"seamtag/seam"
)

const volatileProblem = "events are kept in memory only and are lost when this process ends: set REDIS_URL or install redis-server"

const (
	httpStopWithin = 2 * time.Second // for requests under way; publishing one takes milliseconds
	workStopWithin = 2500 * time.Millisecond
)

type appOptions struct {
	config   *config.Config
	environ  []string         // for ${NAME} in the rules file
	hangups  <-chan os.Signal // each reads the rules file again; may be nil
	role     Role
	redisURL string
	volatile bool
	log      zerolog.Logger
	registry *prometheus.Registry
	tagged   func(seam.Event, metadata.Result) // told of every success; may be nil
	tracer   trace.Tracer                      // nil = off
}

// app is one process: what receives, what works, and what both stand on.
type app struct {
	appOptions

	queue     *queue.Queue
	pace      *queue.Pace  // the rate to Seam that all processes share; nil where the role does not work
	client    *seam.Client // nil where the role does not work
	loading   rulesOptions
	rules     *currentRules
	health    *queue.HealthCheck
	publisher *queue.Publisher // nil where the role does not receive
	consumer  *queue.Consumer  // nil where the role does not work
	gap       *gapCheck        // nil where it is off, or the role does not work
	alerts    *alerts.Notifier // nil where nobody asked for them
	handler   http.Handler
	stopping  chan struct{} // closed when the HTTP servers are to stop: what lasts ends then
	closers   []func()      // in the order of making; called from the last
}

// newApp puts the parts together. Nothing runs and nothing is asked yet: Redis and Seam may be away.
func newApp(o appOptions) (*app, error) {
	a := &app{appOptions: o, stopping: make(chan struct{})}
	if err := a.assemble(); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *app) assemble() error {
	var err error
	if a.queue, err = newQueue(a.config, a.redisURL); err != nil {
		return err
	}
	a.closers = append(a.closers, func() { a.complain("close redis", a.queue.Close()) })
	a.health = queue.NewHealthCheck(a.queue)
	if err := queue.RegisterDepth(a.registry, a.queue); err != nil {
		return err
	}
	if err := a.assembleAlerts(); err != nil {
		return err
	}
	if err := a.assembleRules(); err != nil {
		return err
	}
	if a.role.works() {
		if err := a.assembleWorker(); err != nil {
			return err
		}
	}
	return a.assembleHandler()
}

// assembleRules reads the rules: a web process needs them for the types of events that are wanted.
func (a *app) assembleRules() error {
	a.loading = rulesOptions{config: a.config, environ: a.environ}
	if a.role.works() {
		a.pace = queue.NewPace(a.queue, a.config.SeamRate.PerSecond())
		var err error
		if a.client, err = newSeamClient(a.config, a.pace, a.registry); err != nil {
			return err
		}
		a.closers = append(a.closers, a.client.Close)
		if a.loading.metrics, err = lookup.NewMetrics(a.registry); err != nil {
			return err
		}
		a.loading.seam = a.client
	}
	set, err := openRules(a.loading)
	if err != nil {
		return err
	}
	a.rules = &currentRules{set: set}
	a.closers = append(a.closers, a.rules.close)
	set.describe(a.log)
	return nil
}

func (a *app) assembleWorker() error {
	rewrites, err := newRewriteCounter(a.registry)
	if err != nil {
		return err
	}
	w := &worker{rules: a.rules, tagged: a.tagged, rewrites: rewrites}
	a.consumer, err = queue.NewConsumer(a.queue, queue.ConsumerOptions{
		Handler: traced(a.tracer, w.handle), Concurrency: int(a.config.Concurrency), GiveUpAfter: time.Duration(a.config.GiveUpAfter),
		StopWithin: workStopWithin, Pace: a.pace, Observer: alerting(newObserver(a.log), a.alerts), Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	return a.assembleGapCheck()
}

func (a *app) assembleGapCheck() error {
	counter, err := newGapCounter(a.registry)
	if err != nil || a.config.GapCheck == 0 {
		return err
	}
	publisher := queue.NewPublisher(a.queue)
	a.closers = append(a.closers, publisher.Close)
	a.gap = &gapCheck{
		every: time.Duration(a.config.GapCheck), queue: a.queue, seam: a.client, intake: newIntake(a.queue, publisher, gapRate),
		types: a.rules.events, gaps: counter, missed: a.alertOfMissed, log: a.log,
	}
	return nil
}

func (a *app) assembleHandler() error {
	o := handlers.Options{
		Health: a.readiness, Role: string(a.role), Version: thisBuild().Version, TrustFlyClientIP: a.config.FlyAppName != "",
		Log: a.log, Registerer: a.registry,
	}
	if a.role.receives() {
		a.publisher = queue.NewPublisher(a.queue)
		a.closers = append(a.closers, a.publisher.Close)
		o.Webhook = &handlers.WebhookOptions{
			Secrets: a.config.WebhookSecrets.Reveal(), Publisher: a.publisher, Describe: describer(a.rules), Tracer: a.tracer,
		}
	}
	var err error
	if a.role.receives() && a.config.AdminToken != "" {
		admission := handlers.NewAdmission(a.config.AdminToken.Reveal())
		if o.Page, err = a.newPage(admission); err != nil {
			return err
		}
		o.Admin = &handlers.AdminOptions{Admission: admission, SignedIn: o.Page.SignedIn, Events: a.queue}
	}
	a.handler, err = handlers.New(o)
	return err
}

// run serves until ctx ends or a part fails, then stops in order: HTTP first, so that nothing new is accepted; the workers,
// which finish what is in flight and give back the rest; Redis last, as both need it until then.
func (a *app) run(ctx context.Context, web, metrics net.Listener) error {
	defer a.close()
	group, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, func() { close(a.stopping) })
	group.Go(func() error { return a.serveHTTP(ctx, web, a.handler) })
	group.Go(func() error { return a.serveHTTP(ctx, metrics, metricsHandler(a.registry)) })
	group.Go(func() error { return a.heed(ctx) })
	if a.consumer != nil {
		group.Go(func() error { return a.consumer.Run(ctx) })
	}
	if a.gap != nil {
		group.Go(func() error { a.gap.run(ctx); return nil })
	}
	return group.Wait() //nolint:wrapcheck // the parts say what they were doing
}

// heed reads the rules again on every hangup signal.
func (a *app) heed(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.hangups:
			a.rules.reload(a.loading, a.log)
		}
	}
}

func metricsHandler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	return mux
}

// serveHTTP serves until ctx ends and the requests under way are answered.
func (a *app) serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := handlers.NewServer(h, a.log)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpStopWithin)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		a.complain("wait for requests under way", errors.Join(err, server.Close()))
	}
	return nil
}

func (a *app) close() {
	for _, v := range slices.Backward(a.closers) {
		v()
	}
	a.closers = nil
}

func (a *app) complain(doing string, err error) {
	if err != nil {
		a.log.Warn().Err(err).Msg(doing)
	}
}

// readiness is what /readyz shows. A paused worker is red; a process that only receives stays green, as the platform would
// stop routing webhooks to it because of a key that it does not need (docs/decisions/0006).
func (a *app) readiness(ctx context.Context) handlers.Health {
	q := a.health.Health(ctx)
	paused := q.Paused // of any process
	if a.consumer != nil {
		paused = a.consumer.Paused()
	}
	h := handlers.Health{
		Redis: handlers.Check{OK: q.Err == nil}, Volatile: a.volatile, Lag: handlers.Lag{Waiting: q.Waiting},
	}
	if q.Err != nil {
		h.Redis.Error = q.Err.Error()
	}
	if paused != nil {
		h.Paused = &handlers.Pause{Reason: paused.Reason, Since: paused.Since}
	}
	if !q.Oldest.IsZero() {
		h.Lag.OldestSeconds = max(0, int64(time.Since(q.Oldest).Seconds()))
	}
	h.Ready = q.Err == nil && (paused == nil || a.consumer == nil)
	for _, problem := range q.Problems {
		h.Problems = append(h.Problems, problem.Text)
		h.Ready = h.Ready && !problem.Fatal
	}
	if a.volatile {
		h.Problems = append(h.Problems, volatileProblem)
	}
	return h
}
