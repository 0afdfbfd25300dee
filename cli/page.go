package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"seamtag/handlers"
	"seamtag/handlers/page"
	"seamtag/metadata"
	"seamtag/seam"
)

// newPage makes the operator's page.
func (a *app) newPage(admission *handlers.Admission) (*page.Page, error) {
	o := page.Options{
		Token: a.config.AdminToken.Reveal(), Queue: a.queue,
		Admit: func(r *http.Request, token string) (bool, time.Duration) {
			return admission.Try(handlers.Remote(r), token)
		},
		Problems: func(ctx context.Context) []string { return a.readiness(ctx).Problems },
		Role:     string(a.role), Version: thisBuild().Version, Retention: time.Duration(a.config.Retention),
		Stopping: a.stopping, Log: a.log,
	}
	if a.role.works() {
		o.Preview = a.preview
		o.Calls = func(context.Context) (page.Calls, error) { return seamCalls(a.registry) }
	}
	return page.New(o)
}

// preview explains what a worker would do now with an event, or with an account without news.
func (a *app) preview(ctx context.Context, id string, body []byte) (page.Preview, error) {
	state, err := a.queue.State(ctx, id)
	if err != nil {
		return page.Preview{}, err
	}
	ledger, err := readLedger(state, id)
	if err != nil {
		return page.Preview{}, err
	}
	ev, err := seam.ParseEvent(body)
	if err != nil { // no event given, or none that a worker can read
		ev = seam.Event{EventType: metadata.TypeCheck, ConnectedAccountID: id, OccurredAt: time.Now()}
	}
	set, release := a.rules.use()
	defer release()
	x, err := set.tagger.Explain(ctx, ev, ledger)
	if err != nil {
		return page.Preview{}, err
	}
	if x.Reason == metadata.ReasonAccountGone {
		return page.Preview{}, page.ErrUnknown
	}
	return previewOf(&x), nil
}

func previewOf(x *metadata.Explanation) page.Preview {
	p := page.Preview{Writes: x.Status == metadata.StatusTagged}
	switch {
	case x.Err != nil:
		p.Problem = x.Err.Error()
	case x.Status == metadata.StatusSkipped:
		p.Problem = "It would be skipped: " + x.Reason
	}
	for _, k := range x.Keys {
		p.Keys = append(p.Keys, page.Key{
			Key: k.Key, Change: string(k.Change), Owned: k.Owned, Before: k.Before, After: k.After, Source: k.Source, Lookups: k.Lookups, Why: k.Why,
		})
	}
	for _, l := range x.Lookups {
		p.Lookups = append(p.Lookups, page.Lookup{
			Name: l.Lookup, System: l.System, Found: l.Found, Cached: l.Cached, AgeSeconds: l.AgeSeconds, TookMS: l.TookMS, Error: l.Error,
		})
	}
	return p
}

// seamCalls adds up the metric of calls to Seam: one way of counting them.
func seamCalls(g prometheus.Gatherer) (page.Calls, error) {
	families, err := g.Gather()
	if err != nil {
		return page.Calls{}, fmt.Errorf("gather metrics: %w", err)
	}
	var calls page.Calls
	for _, family := range families {
		if family.GetName() != seamRequests {
			continue
		}
		for _, m := range family.GetMetric() {
			n := int64(m.GetCounter().GetValue())
			calls.All += n
			for _, label := range m.GetLabel() {
				if label.GetName() == "status" && !strings.HasPrefix(label.GetValue(), "2") {
					calls.Failed += n
				}
			}
		}
	}
	return calls, nil
}
