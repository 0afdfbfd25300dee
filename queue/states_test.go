package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
	"seamtag/queue"
)

func TestEveryStateIsVisited(t *testing.T) {
	q := open(t, parts.Redis(t), func(o *queue.Options) { o.Workspace = "a[b]*c" })
	other := open(t, parts.Redis(t))
	want := map[string]string{}
	for n := range 1200 {
		key, state := fmt.Sprintf("account:%d", n), fmt.Sprintf(`{"n":%d}`, n)
		if ok, err := q.ReplaceState(t.Context(), key, nil, []byte(state)); !ok || err != nil {
			t.Fatalf("store %s: %v, %v", key, ok, err)
		}
		want[key] = state
	}
	if _, err := other.ReplaceState(t.Context(), "another", nil, []byte("x")); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err := q.EachState(t.Context(), func(key string, state []byte) error {
		got[key] = string(state)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("visited (-want +got):\n%s", diff)
	}
	stop := errors.New("enough")
	if err := q.EachState(t.Context(), func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a visit's error ends it: %v", err)
	}
	if state, err := q.State(t.Context(), "nobody"); state != nil || err != nil {
		t.Errorf("the state of nobody: %q, %v", state, err)
	}
}

func TestAStateIsReplacedOnlyAsItWasRead(t *testing.T) {
	r := parts.Redis(t)
	q := open(t, r)
	replace := func(old, state string) (bool, error) {
		return q.ReplaceState(t.Context(), "account_1", []byte(old), []byte(state))
	}
	for _, step := range []struct {
		old, state string
		want       bool
	}{{"", "one", true}, {"", "two", false}, {"", "one", true}, {"one", "two", true}, {"one", "three", false}} {
		if ok, err := replace(step.old, step.state); ok != step.want || err != nil {
			t.Errorf("%q for %q: %v, %v", step.state, step.old, ok, err)
		}
	}
	if ttl := r.Client().TTL(t.Context(), "{seamtag:default}:account:account_1").Val(); ttl < 300*24*time.Hour {
		t.Errorf("the state expires in %s", ttl)
	}

	begun, end := make(chan struct{}), make(chan struct{})
	consume(t, q, quick(func(context.Context, *queue.Delivery) (queue.Outcome, error) {
		close(begun)
		<-end
		return queue.Outcome{Status: queue.Tagged, State: []byte("worker's")}, nil
	}))
	id := publish(t, publisher(t, q), message(1))
	<-begun
	if _, err := replace("two", "import's"); !errors.Is(err, queue.ErrBusy) {
		t.Errorf("while a worker holds the key: %v", err)
	}
	close(end)
	awaitStatus(t, q, id, queue.Tagged)
	if state, err := q.State(t.Context(), "account_1"); string(state) != "worker's" || err != nil {
		t.Errorf("state %q, %v", state, err)
	}
}

func TestKnownEventsAndOpenKeys(t *testing.T) {
	q := open(t, parts.Redis(t))
	p := publisher(t, q)
	id := publish(t, p, message(1))
	known, err := q.KnownEvents(t.Context(), "event_0", "event_1")
	if diff := cmp.Diff([]bool{false, true}, known); diff != "" || err != nil {
		t.Errorf("known %v: %s", err, diff)
	}
	isOpen := func(key string, want bool) {
		t.Helper()
		if got, err := q.Open(t.Context(), key); got != want || err != nil {
			t.Errorf("%s is open: %v, %v", key, got, err)
		}
	}
	isOpen("account_0", false)
	isOpen("account_1", true)
	consume(t, q, quick(tag))
	awaitStatus(t, q, id, queue.Tagged)
	isOpen("account_1", false)
}

func TestOneOfSeveralTakesTheTurn(t *testing.T) {
	r := parts.Redis(t)
	one, two := open(t, r), open(t, r)
	took := func(q *queue.Queue, lasts time.Duration) bool {
		t.Helper()
		ok, err := q.TakeTurn(t.Context(), "gap", lasts)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !took(one, time.Hour) || took(two, time.Hour) || took(one, time.Hour) {
		t.Error("the turn was not taken exactly once")
	}
	if err := one.GiveBackTurn(t.Context(), "gap"); err != nil {
		t.Fatal(err)
	}
	if !took(two, time.Millisecond) {
		t.Error("a turn given back is not to be had")
	}
	await(t, "a turn that ran out is to be had", func() bool { return took(one, time.Millisecond) })
}

func TestTheLastGapCheckIsKept(t *testing.T) {
	q := open(t, parts.Redis(t))
	if _, ok, err := q.LastGapCheck(t.Context()); ok || err != nil {
		t.Errorf("before the first: %v, %v", ok, err)
	}
	want := queue.GapCheck{At: time.UnixMilli(3).UTC(), Since: time.UnixMilli(1).UTC(), Until: time.UnixMilli(2).UTC(), Found: 5, Queued: 2}
	if err := q.SaveGapCheck(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := q.LastGapCheck(t.Context())
	if diff := cmp.Diff(want, got); !ok || err != nil || diff != "" {
		t.Errorf("%v, %v: %s", ok, err, diff)
	}
}
