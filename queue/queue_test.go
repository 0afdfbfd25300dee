package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestMain(m *testing.M) {
	queue.SilenceRedis()
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, r *parts.RedisServer, change ...func(*queue.Options)) *queue.Queue {
	t.Helper()
	o := queue.Options{URL: r.URL()}
	for _, c := range change {
		c(&o)
	}
	q, err := queue.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func publisher(t *testing.T, q *queue.Queue) *queue.Publisher {
	t.Helper()
	p := queue.NewPublisher(q)
	t.Cleanup(p.Close)
	return p
}

func message(n int) queue.Message {
	return queue.Message{
		ID: fmt.Sprintf("msg_%d", n), EventID: fmt.Sprintf("event_%d", n), Type: "connected_account.connected",
		Workspace: "w", Key: fmt.Sprintf("account_%d", n), Webview: fmt.Sprintf("webview_%d", n),
		Body: []byte(fmt.Sprintf(`{"n":%d}`, n)), ReceivedAt: time.UnixMilli(1_760_000_000_000 + int64(n)),
	}
}

func publish(t *testing.T, p *queue.Publisher, m queue.Message) string {
	t.Helper()
	r, err := p.Publish(t.Context(), m)
	if err != nil {
		t.Fatalf("publish %s: %v", m.ID, err)
	}
	return r.EntryID
}

// consume runs a consumer until the test ends or stop is called.
func consume(t *testing.T, q *queue.Queue, o queue.ConsumerOptions) (stop func()) {
	t.Helper()
	c, err := queue.NewConsumer(q, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// await polls until ok, and fails the test after a time that is long on any machine.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func entry(t *testing.T, q *queue.Queue, id string) queue.Entry {
	t.Helper()
	e, err := q.Entry(t.Context(), id)
	if err != nil {
		t.Fatalf("entry %s: %v", id, err)
	}
	return e
}

func awaitStatus(t *testing.T, q *queue.Queue, id string, want queue.Status) queue.Entry {
	t.Helper()
	var e queue.Entry
	await(t, fmt.Sprintf("entry %s becomes %s", id, want), func() bool {
		e = entry(t, q, id)
		return e.Status == want
	})
	return e
}

func tag(context.Context, *queue.Delivery) (queue.Outcome, error) {
	return queue.Outcome{Status: queue.Tagged}, nil
}

// quick makes everything that waits short; the order of things does not depend on it.
func quick(h queue.Handler) queue.ConsumerOptions {
	return queue.ConsumerOptions{
		Handler: h, Schedule: queue.ExponentialSchedule{First: 5 * time.Millisecond, Max: 20 * time.Millisecond},
		Probe: 20 * time.Millisecond, Sweep: 50 * time.Millisecond, Block: time.Second,
	}
}

func TestPublishKeepsTheMessageAsItCame(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	m := message(1)
	m.Body = []byte("{\"b\":\"\x00\xff\r\n\"}")
	m.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	e := entry(t, q, publish(t, p, m))
	if diff := cmp.Diff(m, e.Message); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if e.Status != queue.Queued {
		t.Errorf("status %s, want queued", e.Status)
	}
}

func TestOneIDIsOneEntryWhateverTheConcurrency(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	p := publisher(t, q)
	p2 := publisher(t, open(t, r)) // another process
	var wg sync.WaitGroup
	var queued atomic.Int32
	ids := make([]string, 64)
	for i := range ids {
		wg.Go(func() {
			from := p
			if i%2 == 1 {
				from = p2
			}
			got, err := from.Publish(t.Context(), message(7))
			if err != nil {
				t.Error(err)
			}
			if !got.Duplicate {
				queued.Add(1)
			}
			ids[i] = got.EntryID
		})
	}
	wg.Wait()
	if queued.Load() != 1 {
		t.Errorf("%d accepted as new, want 1", queued.Load())
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("entry ids %s and %s for one message", ids[0], id)
		}
	}
	page, err := q.List(t.Context(), queue.Filter{}, "", 10)
	if err != nil || len(page.Entries) != 1 {
		t.Errorf("%d entries in the log, %v; want 1", len(page.Entries), err)
	}
}

func TestPublishOnceKnowsTheEventUnderAnotherMessageID(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	first := publish(t, p, message(1))
	again := message(1)
	again.ID = "backfill_1"
	got, err := p.PublishOnce(t.Context(), again)
	if want := (queue.Receipt{EntryID: first, Duplicate: true}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	again.ID = "msg_resent"
	got, err = p.Publish(t.Context(), again)
	if err != nil || got.Duplicate {
		t.Errorf("a webhook with an id of its own: %+v, %v; want a new entry", got, err)
	}
}

func TestNothingIsAcceptedWhileRedisIsAway(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	p := publisher(t, q)
	publish(t, p, message(1))
	r.Stop()
	if _, err := p.Publish(t.Context(), message(2)); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
	if h := queue.NewHealthCheck(q).Health(t.Context()); h.Err == nil {
		t.Error("healthy without redis")
	}
	r.Start()
	await(t, "accepted again", func() bool {
		_, err := p.Publish(t.Context(), message(2))
		return err == nil
	})
	if h := queue.NewHealthCheck(q).Health(t.Context()); h.Err != nil || h.Waiting != 2 {
		t.Errorf("health %+v, want 2 waiting", h)
	}
}

func TestEveryInstructionHasItsEnd(t *testing.T) {
	boom := errors.New("boom")
	for name, tt := range map[string]struct {
		outcome  queue.Outcome
		err      error
		status   queue.Status
		reason   string
		failures int
	}{
		"tagged":             {outcome: queue.Outcome{Status: queue.Tagged, Result: []byte(`{"set":{}}`)}, status: queue.Tagged},
		"unchanged":          {outcome: queue.Outcome{Status: queue.Unchanged}, status: queue.Unchanged},
		"skipped":            {outcome: queue.Outcome{Status: queue.Skipped, Reason: "account_gone"}, status: queue.Skipped, reason: "account_gone"},
		"buried":             {err: queue.Permanent("malformed", boom), status: queue.Dead, reason: "malformed"},
		"no status":          {status: queue.Dead, reason: "bad_outcome"},
		"backed off, tagged": {outcome: queue.Outcome{Status: queue.Tagged}, err: boom, failures: 3, status: queue.Tagged},
		"later, tagged":      {outcome: queue.Outcome{Status: queue.Tagged}, err: queue.After(time.Millisecond, "rate_limited", boom), failures: 2, status: queue.Tagged},
	} {
		t.Run(name, func(t *testing.T) {
			q := open(t, parts.Redis(t))
			id := publish(t, publisher(t, q), message(1))
			var calls atomic.Int32
			consume(t, q, quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
				if n := int(calls.Add(1)); tt.err != nil && (tt.failures == 0 || n <= tt.failures) {
					return queue.Outcome{}, tt.err
				}
				return tt.outcome, nil
			}))
			e := awaitStatus(t, q, id, tt.status)
			if e.Reason != tt.reason || e.Attempts != tt.failures+1 || len(e.History) != tt.failures+1 {
				t.Errorf("reason %q, %d attempts, history %+v", e.Reason, e.Attempts, e.History)
			}
			if string(e.Result) != string(tt.outcome.Result) {
				t.Errorf("result %s, want %s", e.Result, tt.outcome.Result)
			}
			s, err := q.Stats(t.Context())
			if err != nil || s.Waiting != 0 || s.Due != 0 || s.Ended[tt.status] != 1 {
				t.Errorf("stats %+v, %v", s, err)
			}
		})
	}
}

func TestGivesUpWithTheLastError(t *testing.T) {
	q := open(t, parts.Redis(t))
	id := publish(t, publisher(t, q), message(1))
	o := quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
		return queue.Outcome{}, queue.Backoff("seam_unavailable", errors.New("502"))
	})
	o.GiveUpAfter = 50 * time.Millisecond
	consume(t, q, o)
	e := awaitStatus(t, q, id, queue.Dead)
	if e.Reason != "seam_unavailable" || e.Error != "502" || e.Attempts < 2 {
		t.Errorf("ended with %q, %q after %d attempts", e.Reason, e.Error, e.Attempts)
	}
}

func TestEntriesOfOneKeyRunOneAtATimeAndShareItsState(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	p := publisher(t, q)
	var ids []string
	for n := range 12 {
		m := message(n)
		m.Key = "same"
		ids = append(ids, publish(t, p, m))
	}
	var running, most atomic.Int32
	h := func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		if n := running.Add(1); n > 1 {
			most.Store(n)
		}
		defer running.Add(-1)
		return queue.Outcome{Status: queue.Tagged, State: append(d.State, 'x')}, nil
	}
	consume(t, q, quick(h))
	consume(t, open(t, r), quick(h)) // another process
	for _, id := range ids {
		awaitStatus(t, q, id, queue.Tagged)
	}
	if most.Load() > 1 {
		t.Errorf("%d ran at once", most.Load())
	}
	state, err := r.Client().Get(t.Context(), "{seamtag:default}:account:same").Result()
	if err != nil || state != "xxxxxxxxxxxx" {
		t.Errorf("state %q, %v; want one x for each of 12 entries", state, err)
	}
}

func TestWhatADeadWorkerLeftIsRescued(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	id := publish(t, publisher(t, q), message(1))
	abandon(t, r, "dead-worker")
	o := quick(tag)
	o.Lease = 60 * time.Millisecond
	consume(t, q, o)
	e := awaitStatus(t, q, id, queue.Tagged)
	if e.Deliveries != 2 {
		t.Errorf("%d deliveries, want 2", e.Deliveries)
	}
}

// abandon reads one entry under a name and never settles it, as a worker does that is killed.
func abandon(t *testing.T, r *parts.RedisServer, name string) {
	t.Helper()
	rdb := r.Client()
	log := "{seamtag:default}:log"
	_ = rdb.XGroupCreateMkStream(t.Context(), log, "workers", "0").Err()
	if err := rdb.Do(t.Context(), "XREADGROUP", "GROUP", "workers", name, "COUNT", 1, "STREAMS", log, ">").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestAnEntryThatKillsItsWorkersIsPoison(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	id := publish(t, publisher(t, q), message(1))
	abandon(t, r, "w1")
	for range 4 {
		if err := r.Client().Do(t.Context(), "XAUTOCLAIM", "{seamtag:default}:log", "workers", "w2", 0, "0").Err(); err != nil {
			t.Fatal(err)
		}
	}
	o := quick(tag)
	o.Lease = 60 * time.Millisecond
	consume(t, q, o)
	e := awaitStatus(t, q, id, queue.Dead)
	if e.Reason != "poison" {
		t.Errorf("reason %q, want poison", e.Reason)
	}
}

func TestPauseBuriesNothingAndResumesByItself(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	var ids []string
	for n := range 30 {
		ids = append(ids, publish(t, p, message(n)))
	}
	var wrongKey atomic.Bool
	var calls, paused, resumed atomic.Int32
	wrongKey.Store(true)
	o := quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
		calls.Add(1)
		if wrongKey.Load() {
			return queue.Outcome{}, queue.Pause("unauthorized", errors.New("401"))
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	})
	o.GiveUpAfter = time.Millisecond
	o.Observer.Paused = func(string, error) { paused.Add(1) }
	o.Observer.Resumed = func(time.Duration) { resumed.Add(1) }
	consume(t, q, o)
	await(t, "some probes", func() bool { return calls.Load() > 20 })
	check := queue.NewHealthCheck(q)
	if h := check.Health(t.Context()); h.Paused == nil || h.Paused.Reason != "unauthorized" || h.Waiting != 30 {
		t.Errorf("health %+v, want paused with 30 waiting", h)
	}
	wrongKey.Store(false)
	for _, id := range ids {
		e := awaitStatus(t, q, id, queue.Tagged)
		if e.Attempts != 1 {
			t.Errorf("entry %s: %d attempts; time spent paused is no failure", id, e.Attempts)
		}
	}
	if paused.Load() != 1 || resumed.Load() != 1 {
		t.Errorf("said paused %d times and resumed %d times, want once each", paused.Load(), resumed.Load())
	}
}

func TestStopFinishesWhatIsInFlightAndGivesBackTheRest(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	p := publisher(t, q)
	finishing, stuck := publish(t, p, message(1)), publish(t, p, message(2))
	started := make(chan struct{}, 2)
	release := make(chan struct{})
	o := quick(func(ctx context.Context, d *queue.Delivery) (queue.Outcome, error) {
		started <- struct{}{}
		if d.ID == "msg_1" {
			<-release
			return queue.Outcome{Status: queue.Tagged}, nil
		}
		<-ctx.Done()
		return queue.Outcome{}, fmt.Errorf("call seam: %w", ctx.Err())
	})
	o.StopWithin = 100 * time.Millisecond
	stop := consume(t, q, o)
	<-started
	<-started
	go func() { close(release) }()
	stop()
	if e := entry(t, q, finishing); e.Status != queue.Tagged {
		t.Errorf("in flight at the stop: %s, want tagged", e.Status)
	}
	if e := entry(t, q, stuck); e.Status != queue.Queued || e.Attempts != 0 {
		t.Errorf("not finished in time: %s after %d attempts, want queued as if never started", e.Status, e.Attempts)
	}
	consume(t, q, quick(tag)) // no lease to wait for
	awaitStatus(t, q, stuck, queue.Tagged)
	names, err := r.Client().XInfoConsumers(t.Context(), "{seamtag:default}:log", "workers").Result()
	if err != nil || len(names) != 1 {
		t.Errorf("%d consumers in the group, %v; the stopped one must have left", len(names), err)
	}
}

func TestALostLeaseFencesTheWorkerThatSlept(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	id := publish(t, publisher(t, q), message(1))
	begun, goOn := make(chan *queue.Delivery, 1), make(chan struct{})
	lost := make(chan queue.Settlement, 4)
	slept := quick(func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		begun <- d
		<-goOn
		return queue.Outcome{Status: queue.Unchanged, State: []byte("late")}, nil
	})
	slept.Sweep = time.Hour
	slept.Observer.Settled = func(s queue.Settlement) { lost <- s }
	consume(t, q, slept)
	d := <-begun
	if err := d.Fence(); err != nil {
		t.Errorf("fenced while it holds the lease: %v", err)
	}
	// Another process takes over as after a lease that ran out, which this one does not learn of.
	if err := r.Client().Del(t.Context(), "{seamtag:default}:lock:account_1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Client().Do(t.Context(), "XCLAIM", "{seamtag:default}:log", "workers", "other", 0, id, "IDLE", 60_000).Err(); err != nil {
		t.Fatal(err)
	}
	next := quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
		return queue.Outcome{Status: queue.Tagged, State: []byte("newer")}, nil
	})
	next.Lease = 10 * time.Second
	consume(t, open(t, r), next)
	awaitStatus(t, q, id, queue.Tagged)
	close(goOn)
	if s := <-lost; !s.Lost {
		t.Errorf("the worker that slept settled: %+v", s)
	}
	state, err := r.Client().Get(t.Context(), "{seamtag:default}:account:account_1").Result()
	if err != nil || state != "newer" {
		t.Errorf("state %q, %v; want newer", state, err)
	}
}

func TestFenceFallsWhileTheLeaseCannotBeExtended(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	id := publish(t, publisher(t, q), message(1))
	begun, fenced := make(chan struct{}), make(chan error, 1)
	var calls atomic.Int32
	o := quick(func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		if calls.Add(1) == 1 {
			close(begun)
			await(t, "fenced", func() bool { return d.Fence() != nil })
			fenced <- d.Fence()
			return queue.Outcome{}, d.Fence()
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	})
	o.Lease = 300 * time.Millisecond
	consume(t, q, o)
	<-begun
	r.Stop()
	if err := <-fenced; !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("fence: %v", err)
	}
	r.Start()
	awaitStatus(t, q, id, queue.Tagged)
}

func TestALongHandlerKeepsItsLease(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	id := publish(t, publisher(t, q), message(1))
	var calls atomic.Int32
	o := quick(func(ctx context.Context, d *queue.Delivery) (queue.Outcome, error) {
		calls.Add(1)
		select {
		case <-time.After(1200 * time.Millisecond): // the work itself, four leases long
		case <-ctx.Done():
		}
		return queue.Outcome{Status: queue.Tagged}, d.Fence()
	})
	o.Lease = 300 * time.Millisecond
	consume(t, q, o)
	consume(t, open(t, r), o)
	awaitStatus(t, q, id, queue.Tagged)
	if calls.Load() != 1 {
		t.Errorf("%d workers held the entry", calls.Load())
	}
}

func TestReplayStartsAtOnceOnAnotherProcess(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	id := publish(t, publisher(t, q), message(1))
	var calls atomic.Int32
	o := quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
		if calls.Add(1) == 1 {
			return queue.Outcome{}, queue.Permanent("rule_error", errors.New("no such rule"))
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	})
	o.Sweep = time.Hour // only the wake stream can tell it
	consume(t, q, o)
	awaitStatus(t, q, id, queue.Dead)
	operator := open(t, r)
	if n, err := operator.Replay(t.Context(), id); n != 1 || err != nil {
		t.Fatalf("replayed %d, %v", n, err)
	}
	e := awaitStatus(t, q, id, queue.Tagged)
	if e.Attempts != 1 || e.Replays != 1 || len(e.History) != 2 || e.Error != "" {
		t.Errorf("after the replay: %+v", e)
	}
	s, err := q.Stats(t.Context())
	if want := map[queue.Status]int64{queue.Tagged: 1, queue.Dead: 0, queue.Skipped: 0, queue.Unchanged: 0}; err != nil || !cmp.Equal(want, s.Ended) {
		t.Errorf("ended %v, %v; want %v", s.Ended, err, want)
	}
}

func TestOnlyEndedEntriesAreReplayed(t *testing.T) {
	q := open(t, parts.Redis(t))
	id := publish(t, publisher(t, q), message(1))
	if n, err := q.Replay(t.Context(), id, "1-1"); n != 0 || err != nil {
		t.Errorf("replayed %d, %v; one is queued and one does not exist", n, err)
	}
	if _, err := q.Replay(t.Context(), "../x"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("a bad id: %v", err)
	}
}

func TestRetentionForgetsTheOldestButNeverWhatIsOpen(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r, func(o *queue.Options) { o.Retention = 100 * time.Millisecond })
	p := publisher(t, q)
	ended := publish(t, p, message(1))
	await(t, "another millisecond", func() bool { return strconv.FormatInt(time.Now().UnixMilli(), 10) > ended[:13] })
	stuck, behind := publish(t, p, message(2)), publish(t, p, message(3))
	var mended atomic.Bool
	o := quick(func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		if d.ID == "msg_2" && !mended.Load() {
			return queue.Outcome{}, errors.New("not yet")
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	})
	o.Trim = 20 * time.Millisecond
	consume(t, q, o)
	await(t, "the first is forgotten", func() bool {
		_, err := q.Entry(t.Context(), ended)
		return errors.Is(err, queue.ErrNotFound)
	})
	if e := entry(t, q, stuck); e.Status != queue.Retrying {
		t.Errorf("open past the retention: %s, want retrying", e.Status)
	}
	entry(t, q, behind) // behind an open one: kept with it
	mended.Store(true)
	await(t, "all is forgotten", func() bool {
		keys, err := r.Client().Keys(t.Context(), "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		stays := []string{"{seamtag:default}:log", "{seamtag:default}:wake", "{seamtag:default}:shelves"}
		for _, k := range keys {
			if !slices.Contains(stays, k) {
				return false
			}
		}
		return true
	})
}

func TestListsAreNewestFirstAndPageWithoutGapOrRepeat(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	const total = 137
	var wg sync.WaitGroup
	for n := range total {
		wg.Go(func() { // together, so that many arrive in one millisecond
			m := message(n)
			m.Key = fmt.Sprintf("account_%d", n%2)
			if _, err := p.Publish(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	consume(t, q, quick(func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
		if d.EventID == "event_5" {
			return queue.Outcome{}, queue.Permanent("rejected", errors.New("too long"))
		}
		return queue.Outcome{Status: queue.Tagged}, nil
	}))
	await(t, "all ended", func() bool { s, err := q.Stats(t.Context()); return err == nil && s.Waiting == 0 })
	for name, tt := range map[string]struct {
		filter queue.Filter
		want   int
	}{
		"all":                  {want: total},
		"tagged":               {filter: queue.Filter{Status: queue.Tagged}, want: total - 1},
		"dead":                 {filter: queue.Filter{Status: queue.Dead}, want: 1},
		"by reason":            {filter: queue.Filter{Reason: "rejected"}, want: 1},
		"one account":          {filter: queue.Filter{Key: "account_1"}, want: 68},
		"one account's dead":   {filter: queue.Filter{Key: "account_1", Status: queue.Dead}, want: 1},
		"nothing is queued":    {filter: queue.Filter{Status: queue.Queued}},
		"no such account":      {filter: queue.Filter{Key: "nobody"}},
		"since the future":     {filter: queue.Filter{Since: time.Now().Add(time.Hour)}},
		"until the future":     {filter: queue.Filter{Until: time.Now().Add(time.Hour)}, want: total},
		"by type":              {filter: queue.Filter{Type: "connected_account.connected"}, want: total},
		"no such type":         {filter: queue.Filter{Type: "nothing.happened"}},
		"dead by type":         {filter: queue.Filter{Type: "connected_account.connected", Status: queue.Dead}, want: 1},
		"ended":                {filter: queue.Filter{Ended: true}, want: total},
		"nothing retries":      {filter: queue.Filter{Status: queue.Retrying}},
		"one event":            {filter: queue.Filter{EventID: "event_7"}, want: 1},
		"one event by status":  {filter: queue.Filter{EventID: "event_5", Status: queue.Tagged}},
		"no such event":        {filter: queue.Filter{EventID: "event_x"}},
		"one message":          {filter: queue.Filter{MessageID: "msg_7", Key: "account_1"}, want: 1},
		"another's message":    {filter: queue.Filter{MessageID: "msg_7", Key: "account_0"}},
		"until the future, by": {filter: queue.Filter{Status: queue.Tagged, Until: time.Now().Add(time.Hour)}, want: total - 1},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			newest := time.Now().Add(time.Hour)
			for cursor := ""; ; {
				page, err := q.List(t.Context(), tt.filter, cursor, 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Entries {
					if seen[e.EntryID] {
						t.Fatalf("%s listed twice", e.EntryID)
					}
					seen[e.EntryID] = true
					var ms int64
					if _, err := fmt.Sscanf(e.EntryID, "%d-", &ms); err != nil || ms > newest.UnixMilli() {
						t.Fatalf("%s after %s, %v", e.EntryID, newest, err)
					}
					newest = time.UnixMilli(ms)
				}
				if cursor = page.Next; cursor == "" {
					break
				}
			}
			if len(seen) != tt.want {
				t.Errorf("%d entries, want %d", len(seen), tt.want)
			}
		})
	}
	if _, err := q.List(t.Context(), queue.Filter{}, "bogus", 10); !errors.Is(err, queue.ErrCursor) {
		t.Errorf("a bad cursor: %v", err)
	}
}

func TestKilledRedisComesBackAndNothingIsLost(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	p := publisher(t, q)
	o := quick(tag)
	o.Lease = 500 * time.Millisecond
	consume(t, q, o)
	var accepted []string
	for n := range 120 {
		if n == 60 {
			r.Kill()
			r.Start()
		}
		if got, err := p.Publish(t.Context(), message(n)); err == nil {
			accepted = append(accepted, got.EntryID)
		}
	}
	for _, id := range accepted {
		awaitStatus(t, q, id, queue.Tagged)
	}
	if len(accepted) < 100 {
		t.Errorf("only %d of 120 accepted around a restart", len(accepted))
	}
}

func TestAnEmptyRedisInPlaceOfTheOldOneIsTakenUp(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	p := publisher(t, q)
	o := quick(tag)
	o.Block = 50 * time.Millisecond
	consume(t, q, o)
	awaitStatus(t, q, publish(t, p, message(1)), queue.Tagged)
	if err := r.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, q, publish(t, p, message(2)), queue.Tagged)
}

func TestURLErrorsShowNoPassword(t *testing.T) {
	for _, url := range []string{"redis://:s3cr3tpw@host:notaport/0", "http://:s3cr3tpw@host", "::s3cr3tpw", "redis://u:s3cr3tpw@h:1/x"} {
		_, err := queue.Open(queue.Options{URL: url})
		if err == nil {
			t.Errorf("%q opened", url)
			continue
		}
		if text := err.Error(); len(text) == 0 || strings.Contains(text, "s3cr3tpw") {
			t.Errorf("error %q", text)
		}
	}
}
