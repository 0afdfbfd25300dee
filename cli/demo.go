package cli

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"seamtag/config"
	"seamtag/embedded"
	"seamtag/metadata"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

const demoHelp = `Show the whole way of an event in one process, with nothing installed and no account anywhere.

A pretend Seam lets three accounts connect and one of them reconnect. Each event goes the real way: signed, over HTTP, into
Redis, to a worker, to the pretend Seam's API. Then it stays up, for you to send events of your own, until interrupted.`

func newDemo(p Process) *cobra.Command {
	return &cobra.Command{
		Use: "demo", Short: "Show the whole way of an event, with nothing installed", Long: demoHelp, Args: noArgs,
		Example: "  seamtag demo",
		RunE:    func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), p) },
	}
}

func demo(ctx context.Context, p Process) error {
	c, err := load(p)
	if err != nil {
		return err
	}
	d := &demonstration{out: p.Stdout, results: make(chan demoResult, 64)}
	console := zerolog.ConsoleWriter{Out: p.Stderr, NoColor: !coloured(p, p.Stderr), PartsExclude: []string{zerolog.TimestampFieldName}}
	d.log = zerolog.New(console).Level(zerolog.WarnLevel)
	defer d.close()
	if err := d.prepare(ctx, c); err != nil {
		return err
	}
	running := make(chan error, 1)
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { running <- d.app.run(runCtx, d.web, d.metrics) }()
	err = d.tell(ctx)
	if err == nil {
		select {
		case <-ctx.Done():
			d.sayf("\nstopping\n")
		case err = <-running:
			return err
		}
	}
	stop()
	return errors.Join(err, <-running)
}

type demoResult struct {
	event  seam.Event
	result metadata.Result
}

// demonstration is the whole way in one process.
type demonstration struct {
	out     io.Writer
	log     zerolog.Logger
	results chan demoResult
	seam    *sandbox.Sandbox
	sender  sandbox.Sender
	app     *app
	web     net.Listener
	metrics net.Listener
	secret  string
	closers []func()
}

func (d *demonstration) close() {
	for _, v := range slices.Backward(d.closers) {
		v()
	}
}

func (d *demonstration) sayf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }

// prepare starts the pretend Seam and Redis and puts the process together.
func (d *demonstration) prepare(ctx context.Context, c config.Config) error {
	key := make([]byte, 24)
	_, _ = rand.Read(key) // never fails
	d.secret = "whsec_" + base64.StdEncoding.EncodeToString(key)
	d.seam = sandbox.New(sandbox.Options{Semantics: sandbox.Replace})
	endpoint, err := d.serveSeam(ctx)
	if err != nil {
		return err
	}
	redis, err := d.startRedis(ctx)
	if err != nil {
		return err
	}
	c.WithoutRules() // what the demo tells is what holds without them
	c.SeamAPIKey, c.SeamEndpoint, c.SeamWorkspaceID = config.Secret(d.seam.APIKey()), endpoint, ""
	c.WebhookSecrets, c.RedisMode, c.RedisAck, c.FlyAppName = config.Secrets{config.Secret(d.secret)}, "standalone", "memory", ""
	c.AlertURL = "" // nobody is to be told of a pretend Seam
	d.app, err = newApp(appOptions{
		config: &c, role: roleAll, redisURL: redis.URL(), volatile: redis.Volatile(), log: d.log, registry: prometheus.NewRegistry(),
		tagged: func(ev seam.Event, r metadata.Result) { d.results <- demoResult{ev, r} },
	})
	if err != nil {
		return err
	}
	if d.web, err = loopback(ctx); err != nil {
		return err
	}
	if d.metrics, err = loopback(ctx); err != nil {
		return err
	}
	d.sender = sandbox.Sender{URL: "http://" + d.web.Addr().String() + "/webhooks/seam", Secrets: []string{d.secret}}
	d.sayf("a pretend Seam   %s\na Redis          %s\nseamtag          %s\n", endpoint, redis.Name(), d.sender.URL)
	return nil
}

func (d *demonstration) serveSeam(ctx context.Context) (endpoint string, err error) {
	l, err := loopback(ctx)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: d.seam, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }()
	d.closers = append(d.closers, func() { _ = server.Close() })
	return "http://" + l.Addr().String(), nil
}

func (d *demonstration) startRedis(ctx context.Context) (*embedded.Redis, error) {
	dir, err := os.MkdirTemp("", "seamtag-demo-")
	if err != nil {
		return nil, fmt.Errorf("make a data folder: %w", err)
	}
	d.closers = append(d.closers, func() { _ = os.RemoveAll(dir) })
	redis, err := embedded.Start(ctx, embedded.Options{Dir: dir, Log: d.log.Level(zerolog.ErrorLevel)})
	if err != nil {
		return nil, fmt.Errorf("start the embedded redis: %w", err)
	}
	d.closers = append(d.closers, func() { _ = redis.Close() })
	return redis, nil
}

func loopback(ctx context.Context) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("take a port: %w", err)
	}
	return l, nil
}

// tell lets three accounts connect and one of them reconnect.
func (d *demonstration) tell(ctx context.Context) error {
	first := d.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u_1001", "plan": "gold"}})
	hotel := d.seam.Connect(first)
	if err := d.show(ctx, 1, "an account connects; Seam has copied the webview's metadata already", hotel); err != nil {
		return err
	}
	second := d.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u_1002", "beta": true}})
	villa := d.seam.Connect(second, sandbox.WithoutWebviewID())
	d.seam.SetMetadata(villa.Event.ConnectedAccountID, seam.Metadata{"site": "villa-7"})
	about := "an account connects; another system wrote to it meanwhile, and the event names no webview"
	if err := d.show(ctx, 2, about, villa); err != nil {
		return err
	}
	third := d.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u_1003"}})
	if err := d.show(ctx, 3, "an account connects", d.seam.Connect(third)); err != nil {
		return err
	}
	again := d.seam.Reconnect(villa.Event.ConnectedAccountID, d.seam.AddWebview(sandbox.WebviewSpec{}))
	about = "the second account reconnects through a webview without metadata: Seam wipes what was there"
	if err := d.show(ctx, 4, about, again); err != nil {
		return err
	}
	d.sayf("\nIt stays up until Ctrl-C. Send an event of your own, for the first account, and see that nothing changes:\n\n"+
		"  SEAM_WEBHOOK_SECRET=%s %s send --url %s --account %s\n", d.secret, command(), d.sender.URL, hotel.Event.ConnectedAccountID)
	go d.showMore(ctx)
	return nil
}

// command is how the reader started this program.
func command() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ."
	}
	return os.Args[0]
}

// show sends one event the real way and prints what became of it.
func (d *demonstration) show(ctx context.Context, n int, about string, o sandbox.Occurrence) error {
	d.sayf("\n%d. %s\n", n, about)
	status, answer, err := d.sender.Send(ctx, sandbox.NewMessageID(), o.Body)
	if err != nil {
		return fmt.Errorf("send the event: %w", err)
	}
	webview := "no webview named"
	if o.Event.ConnectWebviewID != "" {
		webview = "webview " + o.Event.ConnectWebviewID
	}
	d.sayf("   arrived    %s  account %s, %s\n", o.Event.EventType, o.Event.ConnectedAccountID, webview)
	d.sayf("   answered   %d %s\n", status, strings.TrimSpace(string(answer)))
	select {
	case r := <-d.results:
		d.print(r)
		return nil
	case <-ctx.Done():
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the event did not end within 30 s")
	}
}

// showMore prints what becomes of the reader's own events.
func (d *demonstration) showMore(ctx context.Context) {
	for {
		select {
		case r := <-d.results:
			d.sayf("\n   arrived    %s  account %s\n", r.event.EventType, r.event.ConnectedAccountID)
			d.print(r)
		case <-ctx.Done():
			return
		}
	}
}

func (d *demonstration) print(r demoResult) {
	found := "the account; no webview is known of it"
	if r.result.WebviewID != "" {
		found = "the account and webview " + r.result.WebviewID
	}
	d.sayf("   looked up  %s\n   before     %s\n   after      %s\n", found, inOrder(r.result.Before), inOrder(r.result.After))
	end := string(r.result.Status)
	if r.result.Reason != "" {
		end += " (" + r.result.Reason + ")"
	}
	d.sayf("   ended      %s", end)
	for _, key := range slices.Sorted(maps.Keys(r.result.Sources)) {
		d.sayf("  %s from %s", key, r.result.Sources[key])
	}
	d.sayf("\n")
}

// inOrder prints metadata with its keys sorted.
func inOrder(md seam.Metadata) string {
	parts := make([]string, 0, len(md))
	for _, key := range slices.Sorted(maps.Keys(md)) {
		parts = append(parts, fmt.Sprintf("%s: %v", key, md[key]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
