package queue_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// seamEvent is an event as Seam sends it, of a usual size.
func seamEvent(n int) queue.Message {
	id := fmt.Sprintf("7d6a9d0f-3c1e-4a05-a3a4-%012d", n)
	m := queue.Message{
		ID: fmt.Sprintf("msg_2r9k3vXTzQ8mN4pLwYcF%07d", n), EventID: "e" + id[1:], Type: "connected_account.connected", Workspace: "w" + id[1:],
		Key: "a" + id[1:], Webview: "v" + id[1:], ReceivedAt: time.Now(),
	}
	m.Body = fmt.Appendf(nil, `{"event_id":%q,"event_type":%q,"workspace_id":%q,"created_at":"2026-11-23T12:00:00.000Z","occurred_at":`+
		`"2026-11-23T12:00:00.000Z","connected_account_id":%q,"connect_webview_id":%q,"customer_key":"customer_%d",`+
		`"connected_account_custom_metadata":{"user_id":"u_%d","internal_account_id":"acct_%d"}}`,
		m.EventID, m.Type, m.Workspace, m.Key, m.Webview, n, n, n)
	return m
}

var seamResult = []byte(`{"set":{"internal_account_id":"acct_1001","plan":"gold"},"removed":[],"restored":[],` +
	`"sources":{"internal_account_id":"tags: user.id","plan":"tags: customer.plan"}}`)

// fill publishes n events of n accounts, numbered from first, and waits for their ends.
func fill(b *testing.B, q *queue.Queue, first, n int) {
	b.Helper()
	p := queue.NewPublisher(q)
	defer p.Close()
	var wg sync.WaitGroup
	for from := range 64 {
		wg.Go(func() {
			for i := from; i < n; i += 64 {
				if _, err := p.Publish(b.Context(), seamEvent(first+i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	parts.Await(b, "all ended", 5*time.Minute, func() bool { s, err := q.Stats(b.Context()); return err == nil && s.Waiting == 0 })
}

// run works with a handler until the benchmark ends.
func run(b *testing.B, q *queue.Queue, h queue.Handler) {
	b.Helper()
	c, err := queue.NewConsumer(q, queue.ConsumerOptions{Handler: h})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
}

func usedMemory(b *testing.B, rdb *redis.Client) int {
	b.Helper()
	text, err := rdb.Info(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "used_memory:")
	digits, _, _ := strings.Cut(rest, "\r")
	n, err := strconv.Atoi(digits)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkMemoryOfEndedEvents says what 1,000 ended events of 1,000 accounts take in Redis, of 20,000.
func BenchmarkMemoryOfEndedEvents(b *testing.B) {
	for b.Loop() {
		r := parts.Redis(b, "--appendonly", "no")
		q, err := queue.Open(queue.Options{URL: r.URL()})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = q.Close() })
		state := []byte(strings.Repeat("s", 600)) // a ledger with two webviews, two tags and a snapshot
		run(b, q, func(context.Context, *queue.Delivery) (queue.Outcome, error) {
			return queue.Outcome{Status: queue.Tagged, Result: seamResult, State: state}, nil
		})
		fill(b, q, 0, 1000)
		before := usedMemory(b, r.Client())
		const events = 20_000
		fill(b, q, 1000, events)
		b.ReportMetric(float64(usedMemory(b, r.Client())-before)/events*1000/1024, "KB/1000events")
	}
}

// latencies notes how long live events waited.
type latencies struct {
	works atomic.Bool

	mu   sync.Mutex
	live string                   // how the ids of the live events begin: those measured before are put back as well
	took map[string]time.Duration // by message id
}

func (l *latencies) handle(ctx context.Context, d *queue.Delivery) (queue.Outcome, error) {
	waited := time.Since(d.ReceivedAt)
	l.mu.Lock()
	if l.live != "" && strings.HasPrefix(d.ID, l.live) {
		l.took[d.ID] = waited
	}
	l.mu.Unlock()
	if l.works.Load() { // the work itself
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return queue.Outcome{Status: queue.Tagged, Result: seamResult}, nil
}

// measure publishes 50 events a second for 20 s and answers the 99th percentile of their wait.
func (l *latencies) measure(b *testing.B, p *queue.Publisher, name string) time.Duration {
	b.Helper()
	const events = 1000
	l.mu.Lock()
	l.live = "live_" + name
	clear(l.took)
	l.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := range events {
		<-tick.C
		m := seamEvent(n)
		m.ID, m.EventID, m.Key = fmt.Sprintf("live_%s_%d", name, n), "", fmt.Sprintf("live_%s_%d", name, n)
		m.ReceivedAt = time.Now()
		if _, err := p.Publish(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
	parts.Await(b, "all live events began", time.Minute, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.took) == events
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]time.Duration, 0, events)
	for _, d := range l.took {
		all = append(all, d)
	}
	slices.Sort(all)
	return all[events*99/100]
}

// BenchmarkLiveEventsDuringAReplay says what a live event waits from its acceptance until a worker begins, at 50 events a
// second: alone, and while 50,000 ended ones are put back as fast as the replay command does it by default and faster.
// Each event takes a worker 20 ms.
func BenchmarkLiveEventsDuringAReplay(b *testing.B) {
	const retained = 50_000
	for _, perSecond := range []int{50, 500} {
		b.Run(fmt.Sprintf("%d/s", perSecond), func(b *testing.B) {
			for b.Loop() {
				r := parts.Redis(b, "--appendfsync", "everysec")
				q, err := queue.Open(queue.Options{URL: r.URL()})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = q.Close() })
				l := &latencies{took: map[string]time.Duration{}}
				run(b, q, l.handle)
				fill(b, q, 0, retained)
				l.works.Store(true)
				p := queue.NewPublisher(q)
				alone := l.measure(b, p, "alone")
				ctx, stop := context.WithCancel(b.Context())
				replaying := make(chan queue.Replayed, 1)
				go func() {
					tick := time.NewTicker(time.Second / 5)
					defer tick.Stop()
					done, _ := q.ReplayMatching(ctx, queue.Filter{}, queue.ReplayOptions{
						Batch:  perSecond / 5,
						Before: func(context.Context, []queue.Entry) error { <-tick.C; return nil },
					})
					replaying <- done
				}()
				beside := l.measure(b, p, "beside")
				stop()
				done := <-replaying
				p.Close()
				if done.Replayed == 0 {
					b.Fatal("nothing was put back meanwhile")
				}
				b.ReportMetric(float64(alone.Microseconds())/1000, "ms-p99-alone")
				b.ReportMetric(float64(beside.Microseconds())/1000, "ms-p99-beside")
				b.ReportMetric(float64(done.Replayed), "put-back")
			}
		})
	}
}
