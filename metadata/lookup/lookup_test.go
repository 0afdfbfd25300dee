package lookup_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"seamtag/metadata/lookup"
)

// fake is a source of func fields.
type fake struct {
	ask    func(ctx context.Context, params []any) (any, error)
	closed atomic.Int32
	asked  atomic.Int32
}

var _ lookup.Source = (*fake)(nil)

func (f *fake) Ask(ctx context.Context, params []any) (any, error) {
	f.asked.Add(1)
	return f.ask(ctx, params)
}

func (f *fake) Close() error {
	f.closed.Add(1)
	return nil
}

func always(value any, err error) *fake {
	return &fake{ask: func(context.Context, []any) (any, error) { return value, err }}
}

func newLookup(t *testing.T, options lookup.Options) *lookup.Lookup {
	t.Helper()
	options.Name = "crm"
	l, err := lookup.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func mustAsk(t *testing.T, l *lookup.Lookup, params ...any) lookup.Answer {
	t.Helper()
	answer, err := l.Ask(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func kindOf(t *testing.T, err error) lookup.Kind {
	t.Helper()
	got, ok := errors.AsType[*lookup.Error](err)
	if !ok {
		t.Fatalf("got %v, want a lookup.Error", err)
	}
	return got.Kind
}

func TestAnswersAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := always("gold", nil)
		l := newLookup(t, lookup.Options{Source: source})
		want := []lookup.Answer{
			{Value: "gold"},
			{Value: "gold", Cached: true, Age: 59 * time.Second},
			{Value: "gold"},
		}
		got := []lookup.Answer{mustAsk(t, l, "a")}
		time.Sleep(59 * time.Second)
		got = append(got, mustAsk(t, l, "a"))
		time.Sleep(time.Second)
		got = append(got, mustAsk(t, l, "a"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if n := source.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
}

func TestMissesAreRememberedForAShorterTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := always(nil, lookup.ErrMissing)
		l := newLookup(t, lookup.Options{Source: source})
		got := []lookup.Answer{mustAsk(t, l, "a"), mustAsk(t, l, "a")}
		time.Sleep(10 * time.Second)
		got = append(got, mustAsk(t, l, "a"))
		want := []lookup.Answer{{Missing: true}, {Missing: true, Cached: true}, {Missing: true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestCacheOff(t *testing.T) {
	source := always("gold", nil)
	l := newLookup(t, lookup.Options{Source: source, Cache: -1})
	mustAsk(t, l, "a")
	if answer := mustAsk(t, l, "a"); answer.Cached || source.asked.Load() != 2 {
		t.Errorf("%+v after %d asks", answer, source.asked.Load())
	}
}

func TestErrorsAreNotRemembered(t *testing.T) {
	source := always(nil, &lookup.Error{System: "http", Detail: "400 from h"})
	l := newLookup(t, lookup.Options{Source: source})
	for range 2 {
		_, err := l.Ask(t.Context(), []any{"a"})
		if err == nil || err.Error() != "http lookup crm: 400 from h" {
			t.Errorf("got %v", err)
		}
	}
	if n := source.asked.Load(); n != 2 {
		t.Errorf("asked %d times, want 2: a permanent error is neither retried nor remembered", n)
	}
}

func TestEntriesAreBounded(t *testing.T) {
	source := always(strings.Repeat("x", 1<<20), nil)
	l := newLookup(t, lookup.Options{Source: source, MaxEntries: 1000})
	const asked = 100 // each 1 MiB, over the bound of 32 MiB
	for range 2 {
		for i := range asked {
			mustAsk(t, l, i)
		}
	}
	if n := source.asked.Load(); n < asked+asked-33 {
		t.Errorf("asked %d times: more than 32 MiB were remembered", n)
	}
}

func TestDifferentParametersNeverShareAnAnswer(t *testing.T) {
	source := &fake{ask: func(_ context.Context, params []any) (any, error) { return params, nil }}
	l := newLookup(t, lookup.Options{Source: source})
	lists := [][]any{
		{"ab", "c"},
		{"a", "bc"},
		{"abc"},
		{"abc", ""},
		{"1"},
		{1},
		{1.0},
		{true},
		{"true"},
		{},
		{"a\x00b"},
		{"s\x01a"},
		{time.Unix(1, 0).UTC()},
		{"1970-01-01T00:00:01Z"},
	}
	for range 2 {
		for _, params := range lists {
			mustAsk(t, l, params...)
		}
	}
	if n := int(source.asked.Load()); n != len(lists) {
		t.Errorf("asked %d times, want %d", n, len(lists))
	}
}

func TestNullAsksNobody(t *testing.T) {
	source := always("gold", nil)
	l := newLookup(t, lookup.Options{Source: source})
	if answer := mustAsk(t, l, "a", nil); !answer.Missing || source.asked.Load() != 0 {
		t.Errorf("%+v after %d asks", answer, source.asked.Load())
	}
	for _, param := range []any{map[string]any{"secret": 1}, []any{"secret"}} {
		_, err := l.Ask(t.Context(), []any{param})
		if err == nil || lookup.IsTransient(err) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%T: %v", param, err)
		}
	}
}

func TestManyAskOnce(t *testing.T) {
	release := make(chan struct{})
	source := &fake{ask: func(context.Context, []any) (any, error) {
		<-release
		return "gold", nil
	}}
	synctest.Test(t, func(t *testing.T) {
		l := newLookup(t, lookup.Options{Source: source})
		var first atomic.Int32
		var group sync.WaitGroup
		for range 200 {
			group.Go(func() {
				answer, err := l.Ask(t.Context(), []any{"a"})
				if err != nil || answer.Value != "gold" {
					t.Errorf("%+v, %v", answer, err)
				}
				if !answer.Cached {
					first.Add(1)
				}
			})
		}
		close(release)
		group.Wait()
		if source.asked.Load() != 1 || first.Load() != 1 {
			t.Errorf("asked %d times, %d say that they did", source.asked.Load(), first.Load())
		}
	})
}

func TestACallerThatLeavesDoesNotEndTheAskOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{ask: func(context.Context, []any) (any, error) {
			time.Sleep(time.Second)
			return "gold", nil
		}}
		l := newLookup(t, lookup.Options{Source: source})
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := l.Ask(ctx, []any{"a"})
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		if answer := mustAsk(t, l, "a"); answer.Value != "gold" || source.asked.Load() != 1 {
			t.Errorf("%+v after %d asks", answer, source.asked.Load())
		}
	})
}

func TestTransportErrorsAreRetried(t *testing.T) {
	for name, tc := range map[string]struct {
		kind  lookup.Kind
		tries int32
	}{
		"transport":   {lookup.Transport, 3},
		"unavailable": {lookup.Unavailable, 1},
		"timeout":     {lookup.Timeout, 1},
		"permanent":   {lookup.Permanent, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := always(nil, &lookup.Error{Kind: tc.kind})
				l := newLookup(t, lookup.Options{Source: source, Jitter: func() float64 { return 1 }})
				started := time.Now()
				_, err := l.Ask(t.Context(), []any{"a"})
				if kind := kindOf(t, err); kind != tc.kind || source.asked.Load() != tc.tries {
					t.Errorf("kind %d after %d tries", kind, source.asked.Load())
				}
				if took := time.Since(started); tc.tries > 1 && took != 150*time.Millisecond {
					t.Errorf("waited %v, want 50 ms and 100 ms", took)
				}
			})
		})
	}
}

func TestARetryCanSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fake{}
		source.ask = func(context.Context, []any) (any, error) {
			if source.asked.Load() < 3 {
				return nil, &lookup.Error{Kind: lookup.Transport}
			}
			return "gold", nil
		}
		if answer := mustAsk(t, newLookup(t, lookup.Options{Source: source}), "a"); answer.Value != "gold" {
			t.Errorf("%+v", answer)
		}
	})
}

// hanging listens to its context only, as every source here does.
func hanging() *fake {
	return &fake{ask: func(ctx context.Context, _ []any) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

func TestASystemThatHangsHoldsNoMoreThanItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := hanging()
		l := newLookup(t, lookup.Options{Source: source, Concurrency: 3, Timeout: 2 * time.Second, Breaker: lookup.Breaker{Failures: -1}})
		started := time.Now()
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				_, err := l.Ask(t.Context(), []any{i})
				if kind := kindOf(t, err); kind != lookup.Timeout || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("kind %d", kind)
				}
			})
		}
		synctest.Wait()
		if n := source.asked.Load(); n != 3 {
			t.Errorf("%d asks at once, want 3", n)
		}
		group.Wait()
		if took := time.Since(started); took != 2*time.Second {
			t.Errorf("the last one waited %v, want the timeout", took)
		}
	})
}

func TestASourceThatDoesNotListenIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLookup(t, lookup.Options{Source: &fake{ask: func(context.Context, []any) (any, error) {
			<-release
			return "late", nil
		}}})
		_, err := l.Ask(t.Context(), []any{"a"})
		if kind := kindOf(t, err); kind != lookup.Timeout {
			t.Errorf("kind %d", kind)
		}
		close(release)
	})
}

func TestWaitingForASlotListensToTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookup(t, lookup.Options{Source: hanging(), Concurrency: 1})
		go func() { _, _ = l.Ask(t.Context(), []any{"a"}) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		_, err := l.Ask(ctx, []any{"b"})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) != time.Second {
			t.Errorf("%v after %v", err, time.Since(started))
		}
	})
}

func TestBreakerOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		source := &fake{ask: func(context.Context, []any) (any, error) {
			if down.Load() {
				return nil, &lookup.Error{System: "http", Kind: lookup.Unavailable, Detail: "503 from h"}
			}
			return "gold", nil
		}}
		l := newLookup(t, lookup.Options{Source: source})
		ask := func(want lookup.Kind, asked int32) {
			t.Helper()
			_, err := l.Ask(t.Context(), []any{"a"})
			if kind := kindOf(t, err); kind != want || source.asked.Load() != asked || !lookup.IsTransient(err) {
				t.Errorf("kind %d after %d asks, want %d after %d", kind, source.asked.Load(), want, asked)
			}
		}
		for i := range int32(5) {
			ask(lookup.Unavailable, i+1)
		}
		ask(lookup.Open, 5)
		time.Sleep(30*time.Second + 1)
		ask(lookup.Unavailable, 6) // half open: one tries
		ask(lookup.Open, 6)
		time.Sleep(30*time.Second + 1)
		down.Store(false)
		mustAsk(t, l, "a")
		mustAsk(t, l, "b")
		if n := source.asked.Load(); n != 8 {
			t.Errorf("asked %d times, want 8", n)
		}
	})
}

func TestWhatDoesNotOpenTheBreaker(t *testing.T) {
	for name, err := range map[string]error{
		"missing": lookup.ErrMissing, "permanent": &lookup.Error{Kind: lookup.Permanent},
	} {
		t.Run(name, func(t *testing.T) {
			source := always(nil, err)
			l := newLookup(t, lookup.Options{Source: source, Cache: -1})
			for range 20 {
				_, _ = l.Ask(t.Context(), []any{"a"})
			}
			if n := source.asked.Load(); n != 20 {
				t.Errorf("asked %d times, want 20", n)
			}
		})
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := hanging()
		l, err := lookup.New(lookup.Options{Name: "crm", Source: source})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := l.Ask(t.Context(), []any{"a"})
			ended <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-ended; !errors.Is(err, lookup.ErrClosed) {
			t.Errorf("in flight: %v", err)
		}
		if _, err := l.Ask(t.Context(), []any{"b"}); !errors.Is(err, lookup.ErrClosed) {
			t.Errorf("after: %v", err)
		}
		if source.closed.Load() != 1 || source.asked.Load() != 1 {
			t.Errorf("closed %d times, asked %d times", source.closed.Load(), source.asked.Load())
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, options := range map[string]lookup.Options{"no source": {Name: "a"}, "no name": {Source: hanging()}} {
		if _, err := lookup.New(options); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		metrics, err := lookup.NewMetrics(registry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lookup.NewMetrics(registry); err == nil {
			t.Error("the metrics were registered twice")
		}
		source := &fake{ask: func(ctx context.Context, params []any) (any, error) {
			switch params[0] {
			case "found":
				return 1, nil
			case "missing":
				return nil, lookup.ErrMissing
			case "slow":
				<-ctx.Done()
				return nil, ctx.Err()
			case "down":
				return nil, &lookup.Error{Kind: lookup.Unavailable}
			default:
				return nil, &lookup.Error{}
			}
		}}
		l := newLookup(t, lookup.Options{Source: source, Metrics: metrics, Breaker: lookup.Breaker{Failures: 2}})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = l.Ask(gone, []any{"slow"})
		for _, param := range []any{"found", "found", "missing", "missing", nil, "bad", "slow", "down", "down", "slow"} {
			_, _ = l.Ask(t.Context(), []any{param})
		}
		want := map[string]float64{
			"cached": 1, "canceled": 1, "error": 2, "hit": 1, "miss": 1, "missing": 2, "open": 2, "timeout": 1,
		}
		if diff := cmp.Diff(want, outcomes(t, registry)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// outcomes reads the counter of the one lookup.
func outcomes(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "seamtag_lookup_requests_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "outcome" {
					counts[label.GetValue()] = metric.GetCounter().GetValue()
				}
			}
		}
	}
	return counts
}

// TestDownThenUp goes the whole way: a service that is gone, then back, with the breaker off.
func TestDownThenUp(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"tier":"gold"}`)
	}))
	defer server.Close()
	source, err := lookup.NewHTTP(lookup.HTTPOptions{URL: parse(t, server.URL+"/{x}")})
	if err != nil {
		t.Fatal(err)
	}
	l := newLookup(t, lookup.Options{Source: source})
	_, err = l.Ask(t.Context(), []any{"secret"})
	want := "http lookup crm: 503 from " + strings.TrimPrefix(server.URL, "http://")
	if err == nil || err.Error() != want || !lookup.IsTransient(err) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	down.Store(false)
	if diff := cmp.Diff(any(map[string]any{"tier": "gold"}), mustAsk(t, l, "secret").Value); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func BenchmarkAskCached(b *testing.B) {
	l, err := lookup.New(lookup.Options{Name: "crm", Source: always("gold", nil)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	params := []any{"0f8fad5b-d9cb-469f-a165-70867728950e"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Ask(b.Context(), params); err != nil {
			b.Fatal(err)
		}
	}
}

func TestASlowSystemHoldsUpOnlySoManyCallers(t *testing.T) {
	release := make(chan struct{})
	under := make(chan struct{}, 8)
	source := &fake{ask: func(ctx context.Context, _ []any) (any, error) {
		under <- struct{}{}
		select {
		case <-release:
			return "late", nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	l := newLookup(t, lookup.Options{Source: source, Callers: 2, Timeout: time.Minute})
	var waiting sync.WaitGroup
	for i := range 2 {
		waiting.Go(func() {
			if answer, err := l.Ask(t.Context(), []any{i}); err != nil || answer.Value != "late" {
				t.Errorf("a caller within the bound: %v, %v", answer, err)
			}
		})
	}
	<-under
	<-under
	_, err := l.Ask(t.Context(), []any{2})
	if busy, ok := errors.AsType[*lookup.Error](err); !ok || busy.Kind != lookup.Busy || !busy.Transient() {
		t.Errorf("a caller over the bound: %v", err)
	}
	close(release)
	waiting.Wait()
	if answer, ok := l.Recall([]any{1}); !ok || !answer.Cached || answer.Value != "late" {
		t.Errorf("recalled %v %v", answer, ok)
	}
	if answer, ok := l.Recall([]any{nil}); !ok || !answer.Missing {
		t.Errorf("a null recalled %v %v", answer, ok)
	}
	if answer, ok := l.Recall([]any{3}); ok {
		t.Errorf("recalled %v without being asked", answer)
	}
}
