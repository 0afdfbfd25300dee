package cli

import (
	"context"
	"errors"
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

// preview compares an account with what the rules want now.
func (a *app) preview(ctx context.Context, id string) (page.Preview, error) {
	state, err := a.queue.State(ctx, id)
	if err != nil {
		return page.Preview{}, err
	}
	ledger, err := metadata.ParseLedger(state)
	if err != nil {
		return page.Preview{}, err
	}
	account, err := a.client.Account(ctx, id)
	if errors.Is(err, seam.ErrNotFound) {
		return page.Preview{}, page.ErrUnknown
	}
	if err != nil {
		return page.Preview{}, err
	}
	set, release := a.rules.use()
	defer release()
	drift, err := set.tagger.Drift(ctx, account, ledger)
	if err != nil {
		return page.Preview{}, err
	}
	preview := make(page.Preview, 0, len(drift))
	for _, d := range drift {
		preview = append(preview, page.Difference{
			Key: d.Key, Before: d.Before, After: d.After, Source: d.Source, Problem: d.Problem, Mends: d.Mends,
		})
	}
	return preview, nil
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
