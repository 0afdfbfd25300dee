package page

import (
	"context"
	"sync"
	"time"

	"seamtag/queue"
)

// period is what a chart is about.
type period struct {
	Name  string
	Step  time.Duration
	Steps int
	keep  time.Duration // how long a count is good enough
}

var (
	lastHour = period{Name: "Last hour", Step: time.Minute, Steps: 60, keep: 15 * time.Second}
	lastDay  = period{Name: "Last day", Step: 15 * time.Minute, Steps: 96, keep: 2 * time.Minute}
)

// chart is counts by arrival, as bars in a drawing of chartWidth by chartHeight.
type chart struct {
	period

	From, Until time.Time
	Bars        []bar
	Top         int64 // what the height of the drawing stands for
	Accepted    int64
	Sums        []statusCount // in the order of the stack, only what occurs
}

type bar struct {
	Text  string // for who points at it
	Parts []part
}

type part struct {
	Class      string
	X, Y, W, H float64
}

type statusCount struct {
	Status queue.Status
	N      int64
}

const (
	chartWidth  = 960.0
	chartHeight = 120.0
)

// stack is the order of the parts of a bar, from the bottom.
var stack = []queue.Status{queue.Tagged, queue.Unchanged, queue.Skipped, queue.Retrying, queue.Dead}

func countOf(b *queue.Bucket, s queue.Status) int64 {
	if s == queue.Retrying {
		return b.Waiting
	}
	return b.Ended[s]
}

func draw(of period, buckets []queue.Bucket) chart {
	c := chart{period: of, Top: 1}
	sums := map[queue.Status]int64{}
	for i := range buckets {
		n := buckets[i].Accepted()
		c.Top, c.Accepted = max(c.Top, n), c.Accepted+n
		for _, s := range stack {
			sums[s] += countOf(&buckets[i], s)
		}
	}
	c.Top = roundUp(c.Top)
	for _, s := range stack {
		if sums[s] > 0 {
			c.Sums = append(c.Sums, statusCount{s, sums[s]})
		}
	}
	if len(buckets) > 0 {
		c.From, c.Until = buckets[0].Start, buckets[len(buckets)-1].Start.Add(of.Step)
	}
	for i := range buckets {
		c.Bars = append(c.Bars, c.bar(i, &buckets[i]))
	}
	return c
}

func (c *chart) bar(i int, b *queue.Bucket) bar {
	width := chartWidth / float64(c.Steps)
	drawn := bar{Text: b.Start.UTC().Format("15:04") + " UTC: " + plural(b.Accepted(), "event", "events")}
	bottom := chartHeight
	for _, s := range stack {
		n := countOf(b, s)
		if n == 0 {
			continue
		}
		height := chartHeight * float64(n) / float64(c.Top)
		bottom -= height
		drawn.Parts = append(drawn.Parts, part{
			Class: string(s), X: width*float64(i) + width*0.12, Y: bottom, W: width * 0.76, H: height,
		})
		drawn.Text += ", " + number(n) + " " + string(s)
	}
	return drawn
}

// roundUp is the next of 1, 2, 5, 10, 20, 50 and so on.
func roundUp(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, m := range []int64{1, 2, 5} {
			if unit*m >= n {
				return unit * m
			}
		}
	}
}

// chartCache counts a period anew only when the last count is too old: a page that is read again every second costs no more.
type chartCache struct {
	of period

	mu    sync.Mutex
	at    time.Time
	drawn chart
}

func newChartCache(of period) *chartCache { return &chartCache{of: of} }

func (c *chartCache) get(ctx context.Context, events Events, now time.Time) (chart, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.at) < c.of.keep && !c.at.IsZero() {
		return c.drawn, nil
	}
	from := now.Truncate(c.of.Step).Add(-time.Duration(c.of.Steps-1) * c.of.Step)
	buckets, err := events.Timeline(ctx, from, c.of.Step, c.of.Steps)
	if err != nil {
		return chart{}, err
	}
	c.at, c.drawn = now, draw(c.of, buckets)
	return c.drawn, nil
}
