package cli

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"seamtag/queue"
	"seamtag/seam"
)

const (
	gapTurn     = "gap"
	gapSettling = 10 * time.Minute   // younger events may still be on their way: Svix tries again after 5 s and 5 min
	gapFirst    = time.Minute        // after the start; a process that is restarted often would never come to it otherwise
	gapBack     = 6 * time.Hour      // how far the first check looks back
	gapOverlap  = time.Hour          // how far each looks back into what the last one saw: lists can be late too
	gapMost     = 7 * 24 * time.Hour // how far one ever looks back: a backfill does the rest
	gapRate     = 20                 // events a second that it queues
	gapPatience = 10 * time.Minute   // for one check
)

const gapMend = "Events reached Seam's list but no webhook brought them; they are queued now. After a first start this is to be " +
	"expected. Else the webhook is missing, disabled or wrong: see seamtag webhook list and seamtag doctor --url"

// gapCheck compares Seam's events with the log once in a while, and queues what no webhook brought. One of several
// processes does it.
type gapCheck struct {
	every  time.Duration
	queue  *queue.Queue
	seam   *seam.Client
	intake *intake
	types  func() []string // that are wanted now
	gaps   prometheus.Counter
	missed func(events int) // told of what was found, but for a first check, which finds what there was before
	log    zerolog.Logger
}

func newGapCounter(r prometheus.Registerer) (prometheus.Counter, error) {
	c := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "seamtag_gap_events_total", Help: "Events that no webhook brought, found in Seam's list and queued.",
	})
	return c, r.Register(c) //nolint:wrapcheck // says which metric
}

// run checks until ctx ends. A check that fails is logged and tried again at the next turn.
func (g *gapCheck) run(ctx context.Context) {
	for wait := min(gapFirst, g.every); pause(ctx, wait) == nil; wait = g.every {
		if err := g.turn(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn().Err(err).Msg("look for events that no webhook brought")
		}
	}
}

// turn checks, if no other process did lately.
func (g *gapCheck) turn(ctx context.Context) error {
	ours, err := g.queue.TakeTurn(ctx, gapTurn, g.every-g.every/10) // another process's clock may be a little early
	if err != nil || !ours {
		return err
	}
	if err := g.check(ctx); err != nil {
		_ = g.queue.GiveBackTurn(context.WithoutCancel(ctx), gapTurn) // it runs out by itself
		return err
	}
	return nil
}

func (g *gapCheck) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, gapPatience)
	defer cancel()
	now := time.Now()
	result := queue.GapCheck{Until: now.Add(-min(gapSettling, g.every)), Since: now.Add(-gapBack)}
	last, known, err := g.queue.LastGapCheck(ctx)
	if err != nil {
		return err
	}
	if known {
		result.Since = last.Until.Add(-gapOverlap)
	}
	if most := now.Add(-gapMost); result.Since.Before(most) {
		result.Since = most
	}
	types := g.types()
	err = g.seam.EachEvent(ctx, seam.EventQuery{Types: types, Since: result.Since, Until: result.Until},
		func(events []seam.Event, _ time.Time) error {
			messages, err := backfilled(events, types, time.Now())
			if err != nil {
				return err
			}
			t, err := g.intake.queueOnce(ctx, messages)
			result.Found += len(messages)
			result.Queued += t.queued
			g.gaps.Add(float64(t.queued))
			return err
		})
	if result.Queued > 0 {
		g.log.Warn().Int("events", result.Queued).Time("since", result.Since).Msg(gapMend)
	}
	if result.Queued > 0 && known {
		g.missed(result.Queued)
	}
	if err != nil {
		return err
	}
	result.At = time.Now()
	return g.queue.SaveGapCheck(ctx, result)
}
