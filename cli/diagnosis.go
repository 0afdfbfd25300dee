package cli

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"seamtag/config"
	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// What counts as bad.
const (
	slowRedis    = 50 * time.Millisecond // an event takes four calls
	clockApart   = 5 * time.Second       // retries come too early or too late by that
	clockWrong   = 2 * time.Minute       // signatures are refused from five minutes on
	fullRedis    = 80                    // percent
	longWaiting  = time.Hour
	travelWithin = 20 * time.Second
)

// diagnosis is one run of the doctor. A part that another needs and that is missing is not checked.
type diagnosis struct {
	*findings

	process Process
	config  config.Config
	queue   *queue.Queue
	types   []string
}

func (d *diagnosis) run(ctx context.Context, url string) {
	if !d.environment() {
		return
	}
	d.rules()
	if d.redis(ctx); d.queue != nil {
		defer func() { _ = d.queue.Close() }()
		d.work(ctx)
	}
	d.seam(ctx)
	if url != "" {
		d.travel(ctx, url)
	}
}

// environment checks the variables: without readable ones there is nothing to go on with.
func (d *diagnosis) environment() bool {
	const check = "configuration"
	var err error
	if d.config, err = config.Load(d.process.Environ); err != nil {
		for line := range strings.Lines(err.Error()) {
			d.failf(check, "see: seamtag help environment", "%s", strings.TrimSpace(line))
		}
		return false
	}
	missing := false
	for _, require := range []func(*config.Config) error{(*config.Config).RequireSeam, (*config.Config).RequireWebhook} {
		if wrong := (&config.Error{}); errors.As(require(&d.config), &wrong) {
			what, mend, _ := strings.Cut(wrong.Problem, ": ")
			d.failf(check, mend, "%s %s", wrong.Variable, what)
			missing = true
		}
	}
	if d.config.AdminToken == "" {
		d.warnf(check, "set one to use the admin API and the dashboard", "ADMIN_TOKEN is not set")
	}
	if !missing {
		d.okf(check, "all that is required is set")
	}
	return true
}

func (d *diagnosis) rules() {
	const check = "rules"
	set, err := openRules(rulesOptions{config: &d.config, environ: d.process.Environ})
	if err != nil {
		d.types = []string{seam.TypeAccountConnected} // what is wanted without a file
		d.failf(check, "mend the file, then: seamtag rules check", "%v", err)
		return
	}
	defer set.close()
	d.types = set.events
	if set.file == "" {
		d.okf(check, "no rules file: accounts get the metadata of their webviews")
		return
	}
	d.okf(check, "%s", set.file)
	for _, note := range set.rules.Describe().Notes {
		d.warnf(check, "see: seamtag rules check", "%s", note)
	}
}

func (d *diagnosis) redis(ctx context.Context) {
	const check = "redis"
	q, err := openQueue(ctx, &d.config)
	if err != nil {
		d.failf(check, "start Redis, or seamtag serve, or set REDIS_URL", "%v", err)
		return
	}
	found, err := q.Diagnose(ctx)
	if err != nil {
		_ = q.Close()
		d.failf(check, "is REDIS_URL right, and the server up?", "%v", err)
		return
	}
	d.queue = q
	d.okf(check, "version %s", found.Version)
	if d.config.RedisURL == "" {
		d.warnf(check, "set REDIS_URL where more than this machine is to work", "it is the embedded one of a seamtag serve")
	}
	for _, problem := range found.Problems {
		what, mend, _ := strings.Cut(problem.Text, ": ")
		if problem.Fatal {
			d.failf(check, mend, "%s", what)
		} else {
			d.warnf(check, mend, "%s", what)
		}
	}
	d.redisFigures(found)
}

func (d *diagnosis) redisFigures(found queue.Diagnosis) {
	const mib = 1 << 20
	if found.Latency > slowRedis {
		d.warnf("redis latency", "run seamtag near its Redis", "%s a command", found.Latency.Round(time.Millisecond))
	} else {
		d.okf("redis latency", "%s a command", found.Latency.Round(10*time.Microsecond))
	}
	switch used := found.Used; {
	case found.Most == 0:
		d.okf("redis memory", "%d MiB used, no limit of its own", used/mib)
	case used*100 > found.Most*fullRedis:
		d.warnf("redis memory", "give it more, or set a shorter SEAMTAG_RETENTION", "%d of %d MiB used", used/mib, found.Most/mib)
	default:
		d.okf("redis memory", "%d of %d MiB used", used/mib, found.Most/mib)
	}
	apart := found.Ahead.Abs().Round(time.Millisecond)
	const mend = "let both machines follow a time server: webhooks are refused when a clock is wrong by five minutes"
	switch {
	case apart > clockWrong:
		d.failf("clock", mend, "Redis's clock and this one are %s apart", apart)
	case apart > clockApart:
		d.warnf("clock", mend, "Redis's clock and this one are %s apart", apart)
	default:
		d.okf("clock", "Redis's clock and this one are %s apart", apart)
	}
}

// work looks at what the processes that serve left in Redis.
func (d *diagnosis) work(ctx context.Context) {
	const check = "work"
	h := queue.NewHealthCheck(d.queue).Health(ctx)
	stats, err := d.queue.Stats(ctx)
	switch waits := time.Since(h.Oldest); {
	case h.Err != nil || err != nil:
		d.failf(check, "is REDIS_URL right, and the server up?", "%v", errors.Join(h.Err, err))
	case h.Paused != nil:
		d.failf(check, "set the right SEAM_API_KEY: work goes on by itself", "workers pause since %s: %s",
			h.Paused.Since.UTC().Format(time.RFC3339), h.Paused.Reason)
	case !h.Oldest.IsZero() && waits > longWaiting:
		d.warnf(check, "is a worker running? why is it retried? see: seamtag events list --status retrying",
			"%s waiting, the oldest for %s", plural(int(h.Waiting), "event"), waits.Round(time.Minute))
	default:
		d.okf(check, "%s waiting", plural(int(h.Waiting), "event"))
	}
	if n := stats.Ended[queue.Dead]; n > 0 {
		d.warnf(check, "see why: seamtag events list --status dead", "%s dead", plural(int(n), "event"))
	}
	d.gaps(ctx)
}

func (d *diagnosis) gaps(ctx context.Context) {
	const check = "gap check"
	last, known, err := d.queue.LastGapCheck(ctx)
	switch {
	case err != nil:
		d.failf(check, "is REDIS_URL right, and the server up?", "%v", err)
	case !known:
		d.okf(check, "none yet: workers do it every %s", time.Duration(d.config.GapCheck))
	case last.Queued > 0:
		d.warnf(check, "is the webhook registered and enabled? see: seamtag webhook list",
			"at %s it found and queued %s that no webhook brought", last.At.UTC().Format(time.RFC3339), plural(last.Queued, "event"))
	default:
		d.okf(check, "at %s no event was missing", last.At.UTC().Format(time.RFC3339))
	}
}

func (d *diagnosis) seam(ctx context.Context) {
	const check = "seam"
	if d.config.SeamAPIKey == "" {
		return // said already
	}
	client, err := newSeamClient(&d.config, nil, prometheus.NewRegistry())
	if err != nil {
		d.failf(check, "see: seamtag help environment", "%v", err)
		return
	}
	defer client.Close()
	workspace, err := client.Workspace(ctx)
	switch {
	case errors.Is(err, seam.ErrUnauthorized):
		d.failf(check, "set SEAM_API_KEY to a key of the Seam Console, under Developer, API Keys", "the API key is refused: %v", err)
		return
	case err != nil:
		d.failf(check, "is SEAM_ENDPOINT right? see https://status.seam.co", "%v", err)
		return
	case workspace.IsSuspended:
		d.failf(check, "ask Seam's support", "workspace %q is suspended", workspace.Name)
	}
	kind := "production"
	if workspace.IsSandbox {
		kind = "sandbox"
	}
	d.okf(check, "workspace %q (%s)", workspace.Name, kind)
	d.webhook(ctx, client)
}

func (d *diagnosis) webhook(ctx context.Context, client *seam.Client) {
	const check = "webhook"
	all, err := client.Webhooks(ctx)
	if err != nil {
		d.failf(check, "may this key list webhooks?", "%v", err)
		return
	}
	ours := 0
	for _, w := range all {
		l := listed(w, d.types)
		if !l.Ours {
			continue
		}
		if ours++; l.Complete {
			d.okf(check, "%s is registered for %s", l.URL, strings.Join(l.EventTypes, ", "))
			continue
		}
		d.failf(check, "create one anew, then delete this: seamtag webhook create --url "+l.URL,
			"%s lacks %s", l.URL, strings.Join(l.Missing, ", "))
	}
	if ours == 0 {
		d.failf(check, "seamtag webhook create --url https://<your host>"+webhookPath, "none is registered whose URL ends with %s", webhookPath)
	}
}

// travel sends a signed event for an account that does not exist, and follows it to its end.
func (d *diagnosis) travel(ctx context.Context, url string) {
	const check = "test event"
	secrets := d.config.WebhookSecrets.Reveal()
	if len(secrets) == 0 {
		return // said already
	}
	sender := sandbox.Sender{URL: url, Secrets: secrets[:1], Client: &http.Client{Timeout: 15 * time.Second}}
	began := time.Now()
	one, err := sendOne(ctx, &sender, sendOptions{url: url, account: sandbox.NewUUID(), eventType: seam.TypeAccountConnected})
	switch {
	case err != nil:
		d.failf(check, "is the host right, and seamtag serve running there?", "%v", err)
		return
	case one.HTTPStatus == http.StatusUnauthorized:
		d.failf(check, "is SEAM_WEBHOOK_SECRET the same there and here?", "answered 401: %s", one.Error)
		return
	case one.HTTPStatus != http.StatusAccepted:
		d.failf(check, "is the URL that of a seamtag? see its log", "answered %d %s%s", one.HTTPStatus, one.Status, one.Error)
		return
	}
	took := time.Since(began).Round(time.Millisecond)
	if d.queue == nil {
		d.warnf(check, "", "accepted after %s; without Redis here it cannot be followed further", took)
		return
	}
	d.follow(ctx, one.ID, took)
}

func (d *diagnosis) follow(ctx context.Context, id string, accepted time.Duration) {
	const check = "test event"
	ctx, cancel := context.WithTimeout(ctx, travelWithin)
	defer cancel()
	var e queue.Entry
	var err error
	for {
		if e, err = d.queue.Entry(ctx, id); err != nil || e.Status.Ended() || pause(ctx, 50*time.Millisecond) != nil {
			break
		}
	}
	switch {
	case errors.Is(err, queue.ErrNotFound):
		d.failf(check, "is REDIS_URL the same there and here?", "accepted after %s as %s, which is not in this Redis", accepted, id)
	case err != nil:
		d.failf(check, "is REDIS_URL right, and the server up?", "%v", err)
	case e.Status == queue.Dead:
		d.failf(check, "see: seamtag events show "+id, "accepted after %s, then dead: %s", accepted, e.Reason)
	case !e.Status.Ended():
		d.warnf(check, "is a worker running? see its log", "accepted after %s, but %s after %s", accepted, e.Status, travelWithin)
	default:
		done := e.EndedAt.Sub(e.ReceivedAt).Round(time.Millisecond)
		d.okf(check, "accepted after %s, done after %s (%s %s, as it has to be)", accepted, done, e.Status, e.Reason)
	}
}
