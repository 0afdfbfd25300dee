package cli

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"seamtag/metadata"
	"seamtag/metadata/lookup"
	"seamtag/queue"
	"seamtag/seam"
)

// describer tells the door what a verified body is about, and whether the rules ask for its type. A body that cannot be
// read is wanted: a vendor's event is kept and ends dead, visibly.
func describer(rules *currentRules) func(body []byte) (queue.Message, bool) {
	return func(body []byte) (queue.Message, bool) {
		ev, err := seam.ParseHead(body)
		if err != nil {
			return queue.Message{}, true
		}
		set, release := rules.use()
		defer release()
		return messageOf(ev), set.wants(ev.EventType)
	}
}

func messageOf(ev seam.Event) queue.Message {
	return queue.Message{
		EventID: ev.EventID, Type: ev.EventType, Workspace: ev.WorkspaceID, Key: ev.ConnectedAccountID, Webview: ev.ConnectWebviewID,
	}
}

// worker is the glue between a delivery and the tagging of its account.
type worker struct {
	rules    *currentRules
	tagged   func(seam.Event, metadata.Result) // told of every success; may be nil
	rewrites prometheus.Counter
}

func newRewriteCounter(r prometheus.Registerer) (prometheus.Counter, error) {
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "seamtag_rewrites_total", Help: "Updates sent again, as another writer came between the update and its read-back.",
	})
	return c, r.Register(c) //nolint:wrapcheck // says which metric
}

// handle implements queue.Handler.
func (w *worker) handle(ctx context.Context, d *queue.Delivery) (queue.Outcome, error) {
	ev, err := seam.ParseEvent(d.Body)
	if err != nil {
		return queue.Outcome{}, instruct(err)
	}
	ledger, err := metadata.ParseLedger(d.State)
	if err != nil {
		return queue.Outcome{}, queue.Backoff("ledger_unreadable", err)
	}
	set, release := w.rules.use()
	defer release()
	result, ledger, err := set.tagger.Tag(ctx, ev, ledger, d.Fence)
	if err != nil {
		return queue.Outcome{State: ledger.Encode()}, instruct(err)
	}
	w.rewrites.Add(float64(result.Rewrites))
	shown, err := json.Marshal(result)
	if err != nil {
		return queue.Outcome{State: ledger.Encode()}, queue.Backoff("error", err)
	}
	if w.tagged != nil {
		w.tagged(ev, result)
	}
	return queue.Outcome{Status: queue.Status(result.Status), Reason: result.Reason, Result: shown, State: ledger.Encode()}, nil
}

// failures is what follows from a failure: the one place that decides it. The reason is also a metric's label. What is not
// listed backs off.
var failures = []struct {
	is     func(error) bool
	reason string
	then   func(reason string, err error) error
}{
	{isA[*seam.MalformedEventError], "malformed", queue.Permanent},
	{isA[*metadata.RuleError], "rule_error", queue.Permanent},
	{is(seam.ErrInvalid), "rejected", queue.Permanent},
	{is(seam.ErrUnauthorized), "unauthorized", queue.Pause},
	{is(seam.ErrRateLimited), "rate_limited", afterAsked},
	{is(seam.ErrUnavailable), "seam_unavailable", afterAsked},
	{isA[*metadata.MissingError], "lookup_missing", unlessDead},
	{isA[*lookup.Error], "lookup_unavailable", afterAsked},
	{is(lookup.ErrClosed), "lookup_unavailable", queue.Backoff},
	{is(metadata.ErrContended), "contended", queue.Backoff},
	{is(queue.ErrLeaseLost), "lease_lost", queue.Backoff},
}

func instruct(err error) error {
	for _, f := range failures {
		if f.is(err) {
			return f.then(f.reason, err)
		}
	}
	return queue.Backoff("error", err)
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// unlessDead buries where the rules say that a lookup which finds nothing is to.
func unlessDead(reason string, err error) error {
	if missing, ok := errors.AsType[*metadata.MissingError](err); ok && missing.Then == metadata.MissedDead {
		return queue.Permanent(reason, err)
	}
	return queue.Backoff(reason, err)
}

// afterAsked waits as long as Seam or the system of a lookup asked for, else backs off.
func afterAsked(reason string, err error) error {
	var asked time.Duration
	if e, ok := errors.AsType[*seam.Error](err); ok {
		asked = e.RetryAfter
	}
	if e, ok := errors.AsType[*lookup.Error](err); ok {
		asked = e.RetryAfter
	}
	if asked > 0 {
		return queue.After(asked, reason, err)
	}
	return queue.Backoff(reason, err)
}
