package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"seamtag/config"
)

const serveHelp = `Receive webhooks and tag accounts.

Role web takes webhooks and puts them safely into Redis, role worker works them off, role all does both in one process.
Several processes of either role share the work; they need a Redis that all of them reach (REDIS_URL). Alone, role all
starts a Redis of its own: redis-server or valkey-server from the PATH with its data in SEAMTAG_DATA, or one in memory.

On SIGHUP it reads the rules file again: a good one takes over between two events, a bad one changes nothing and is logged.
On SIGTERM or SIGINT it stops accepting, finishes what is in flight, gives back the rest and ends within 5 seconds.`

// Role is what a process does.
type Role string

// The roles of serve.
const (
	roleAll    Role = "all"
	roleWeb    Role = "web"
	roleWorker Role = "worker"
)

func (r Role) receives() bool { return r == roleAll || r == roleWeb }
func (r Role) works() bool    { return r == roleAll || r == roleWorker }

func newServe(p Process) *cobra.Command {
	role := string(roleAll)
	cmd := &cobra.Command{
		Use: "serve", Short: "Receive webhooks and tag accounts", Long: serveHelp, Args: noArgs,
		Example: "  seamtag serve\n  seamtag serve --role web\n  seamtag serve --role worker",
		RunE:    func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), p, Role(role)) },
	}
	cmd.Flags().StringVar(&role, "role", role, "all, web (takes webhooks) or worker (tags accounts)")
	return cmd
}

func serve(ctx context.Context, p Process, role Role) error {
	if !role.receives() && !role.works() {
		return usage(fmt.Errorf("--role %s: want all, web or worker", role))
	}
	c, err := load(p, func(c *config.Config) error { return requireFor(c, role) })
	if err != nil {
		return err
	}
	tuneMemory(p.Environ)
	log := newLogger(p, &c)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	redis, err := startRedis(ctx, &c, log)
	if err != nil {
		return err
	}
	defer redis.stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	redis.onFailure(ctx, cancel)
	tracer, closeTracing, err := startTracing(ctx, &c, role, log)
	if err != nil {
		return err
	}
	defer closeTracing()
	hangups, ignore := p.hangups()
	defer ignore()
	a, err := newApp(appOptions{
		config: &c, environ: p.Environ, hangups: hangups, role: role, redisURL: redis.url, volatile: redis.volatile, log: log,
		registry: registry, tracer: tracer,
	})
	if err != nil {
		return err
	}
	web, err := listen(ctx, "PORT", ":"+strconv.Itoa(int(c.Port)))
	if err != nil {
		a.close()
		return err
	}
	metrics, err := listen(ctx, "METRICS_PORT", ":"+strconv.Itoa(int(c.MetricsPort)))
	if err != nil {
		a.close()
		return errors.Join(err, web.Close())
	}
	log.Info().Str("role", string(role)).Str("address", web.Addr().String()).Str("metrics", metrics.Addr().String()).
		Str("version", thisBuild().Version).Msg("serving")
	err = a.run(ctx, web, metrics)
	log.Info().Msg("stopped")
	if cause := context.Cause(ctx); errors.Is(cause, errRedisFailed) {
		err = errors.Join(err, cause)
	}
	return err
}

// requireFor checks what a role needs. All that is missing is said at once.
func requireFor(c *config.Config, role Role) error {
	var errs []error
	if role.receives() {
		errs = append(errs, c.RequireWebhook())
	}
	if role.works() {
		errs = append(errs, c.RequireSeam())
	}
	switch {
	case c.FlyAppName != "":
		errs = append(errs, c.RequireShared("on Fly.io a Machine's disk is not kept, make one with: fly redis create"))
	case role != roleAll:
		errs = append(errs, c.RequireShared("processes of role web and worker share one Redis"))
	}
	if c.Port != 0 && c.Port == c.MetricsPort {
		errs = append(errs, &config.Error{Variable: "METRICS_PORT", Problem: "is the same as PORT: metrics have a port of their own"})
	}
	return errors.Join(errs...)
}

// listen takes a port, on IPv4 and IPv6.
func listen(ctx context.Context, variable, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, usage(&config.Error{Variable: variable, Problem: err.Error()})
	}
	return l, nil
}
