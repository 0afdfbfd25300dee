package page

import (
	"context"
	"errors"
	"net/http"
	"time"

	"seamtag/queue"
)

const (
	latestShown = 6 // of the newest events
	statsWithin = 2 * time.Second
	unknown     = "unknown"
)

// overviewView is the overview. A nil pointer is unknown.
type overviewView struct {
	Problems  []string
	Verdict   verdict
	Stats     *queue.Stats
	Charts    []chart // none: unknown
	Latest    []queue.Entry
	NoLatest  bool // unknown, not none
	Calls     *Calls
	NoCalls   string // why there are none
	Gap       *queue.GapCheck
	NoGap     string
	Retention time.Duration
}

// verdict is the overview in one sentence.
type verdict struct {
	Tone     string // good, busy, bad or unknown
	Headline string
	Detail   string
	Link     string
}

func (p *Page) overview(r *http.Request, _ *session) (answer, error) {
	ctx := r.Context()
	v := overviewView{Problems: p.o.Problems(ctx), Retention: p.o.Retention}
	if stats, err := p.stats(ctx); err == nil {
		v.Stats = &stats
	} else {
		p.o.Log.Warn().Err(err).Msg("show the counts of the overview")
	}
	if v.Stats != nil { // else Redis does not answer: nothing else is worth waiting for
		v.Charts = p.drawCharts(ctx)
		latest, err := p.o.Queue.List(ctx, queue.Filter{}, "", latestShown)
		v.Latest, v.NoLatest = latest.Entries, err != nil
		v.Gap, v.NoGap = ask(ctx, p.gapCheck)
	} else {
		v.NoLatest, v.NoGap = true, unknown
	}
	v.Calls, v.NoCalls = ask(ctx, p.o.Calls)
	v.Verdict = judge(v.Stats)
	return answer{look: "overview", title: "Overview", nav: navOverview, follow: "/live", data: v}, nil
}

// stats are patient for a moment only: that Redis does not answer is what an operator wants to see soon.
func (p *Page) stats(ctx context.Context) (queue.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, statsWithin)
	defer cancel()
	return p.o.Queue.Stats(ctx)
}

// ask answers what a part of Options tells, or in words why it does not.
func ask[T any](ctx context.Context, part func(context.Context) (T, error)) (*T, string) {
	if part == nil {
		return nil, "not available in this role"
	}
	told, err := part(ctx)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, "none yet"
	case err != nil:
		return nil, unknown
	}
	return &told, ""
}

func (p *Page) gapCheck(ctx context.Context) (queue.GapCheck, error) {
	last, known, err := p.o.Queue.LastGapCheck(ctx)
	if err == nil && !known {
		err = ErrUnknown
	}
	return last, err
}

func (p *Page) drawCharts(ctx context.Context) []chart {
	var all []chart
	for _, cache := range p.charts {
		c, err := cache.get(ctx, p.o.Queue, p.o.Now())
		if err != nil {
			p.o.Log.Warn().Err(err).Msg("draw the charts of the overview")
			return nil
		}
		all = append(all, c)
	}
	return all
}

// judge says first what an operator must act on.
func judge(stats *queue.Stats) verdict {
	switch {
	case stats == nil:
		return verdict{unknown, "Redis does not answer", "What is below may be unknown. Acknowledged events are safe in Redis; " +
			"new ones are refused, and Svix sends them again.", ""}
	case stats.Paused != nil:
		return verdict{"bad", "The workers are paused", meaningOf(stats.Paused.Reason), ""}
	case stats.Ended[queue.Dead] > 0:
		n := stats.Ended[queue.Dead]
		return verdict{"bad", plural(n, "event is dead", "events are dead"), "It takes a hand: see why, mend it, replay.", "/dead"}
	case stats.Waiting > 0:
		return verdict{"busy", plural(stats.Waiting, "event is", "events are") + " on the way", "Nothing to do: workers are on it.", ""}
	}
	return verdict{"good", "Every event has been dealt with", "Nothing waits and nothing is dead.", ""}
}

func meaningOf(reason string) string {
	if text := meaning(reason); text != "" {
		return text
	}
	return reason
}
