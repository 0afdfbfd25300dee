package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"seamtag/metadata"
	"seamtag/queue"
	"seamtag/seam"
)

// planned is what tagging an account would change.
type planned struct {
	Account string           `json:"connected_account_id"`
	Changes []metadata.Drift `json:"changes"`
	Gone    bool             `json:"gone,omitempty"`
}

// showPlan reads the accounts and shows what tagging them would change. Metadata values go to who asked, and nowhere else.
func (r *replayer) showPlan(ctx context.Context, accounts map[string]bool) error {
	if err := r.config.RequireSeam(); err != nil {
		return usage(err)
	}
	client, err := newSeamClient(r.config, queue.NewPace(r.queue, r.config.SeamRate.PerSecond()), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer client.Close()
	rules, err := openRules(rulesOptions{config: r.config, environ: r.p.Environ, seam: client})
	if err != nil {
		return err
	}
	defer rules.close()
	t := r.out.table("ACCOUNT", "KEY", "NOW", "THEN")
	done := 0
	for _, account := range slices.Sorted(maps.Keys(accounts)) {
		one, err := r.planOf(ctx, client, rules.tagger, account)
		if err != nil {
			r.progress.done()
			return errors.Join(t.flush(), err)
		}
		if err := addPlan(t, one); err != nil {
			return err
		}
		done++
		r.progress.show("accounts read", done, len(accounts))
	}
	r.progress.done()
	return t.flush()
}

func (r *replayer) planOf(ctx context.Context, client *seam.Client, tagger *metadata.Tagger, id string) (planned, error) {
	one := planned{Account: id, Changes: []metadata.Drift{}}
	account, err := client.Account(ctx, id)
	if errors.Is(err, seam.ErrNotFound) {
		one.Gone = true
		return one, nil
	}
	if err != nil {
		return one, fmt.Errorf("read account %s: %w", id, err)
	}
	state, err := r.queue.State(ctx, id)
	if err != nil {
		return one, err
	}
	ledger, err := readLedger(state, id)
	if err != nil {
		return one, err
	}
	changes, err := tagger.Drift(ctx, account, ledger)
	if err != nil {
		return one, fmt.Errorf("plan account %s: %w", id, err)
	}
	one.Changes = append(one.Changes, slices.DeleteFunc(changes, func(d metadata.Drift) bool {
		return !d.Mends && d.Kind != metadata.DriftRuleError && d.Kind != metadata.DriftOverBudget
	})...)
	return one, nil
}

func addPlan(t *table, one planned) error {
	switch {
	case t.o.json:
		return t.add(one)
	case one.Gone:
		return t.add(one, cells(one.Account, "–", "the account is gone", "–")...)
	}
	for _, d := range one.Changes {
		now, then := shown(d.Before), shown(d.After)
		if d.Problem != "" {
			then = d.Problem
		}
		if err := t.add(one, cells(one.Account, dash(d.Key), now, then)...); err != nil {
			return err
		}
	}
	return nil
}
