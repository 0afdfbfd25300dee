package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"seamtag/internal/parts"
)

// TestRandomInterleavings plays random interleavings of publish, take, settle, lease expiry, rescue, replay and trim by three
// workers, and compares after every step where each entry is with a plain model in memory: exactly one place each, and in
// the end the end that its handler gave.
func TestRandomInterleavings(t *testing.T) {
	server := parts.Redis(t, "--appendfsync", "everysec")
	for seed := range uint64(25) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			q, err := Open(Options{URL: server.URL(), Workspace: fmt.Sprintf("model%d", seed)})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			m := newModel(t, q, rand.New(rand.NewPCG(seed, 2026)))
			defer m.dismiss()
			for range 150 {
				m.step()
				m.compare()
			}
			m.drain()
		})
	}
}

// place is where the model has an entry: one of these, or a terminal status.
type place string

const (
	unread  place = "unread"
	waiting place = "waiting"
	inHand  place = "in hand"
)

// hand is a delivery whose handler waits for the test to say how it ends.
type hand struct {
	*Delivery

	worker *modelWorker
	answer chan error // nil: tagged
	stale  bool       // its lease ran out
	gone   bool       // and another worker has the entry
	again  bool       // or its own worker took it again, to begin once this handler has ended
}

// modelWorker is a consumer whose loops do not run: the test takes their steps.
type modelWorker struct {
	*Consumer

	settled chan Settlement
}

type model struct {
	t         *testing.T
	q         *Queue
	random    *rand.Rand
	publisher *Publisher
	workers   []*modelWorker
	begun     chan *hand
	hands     []*hand
	places    map[string]place  // by entry id
	keys      map[string]string // by entry id, for ever
	entries   []string          // by message number
	locks     map[string]*hand  // by key
	log       []string          // what was done, for a failure
}

type noDelay struct{}

func (noDelay) Delay(int) time.Duration { return 0 }

func newModel(t *testing.T, q *Queue, random *rand.Rand) *model {
	t.Helper()
	m := &model{
		t: t, q: q, random: random, publisher: NewPublisher(q), begun: make(chan *hand, 64),
		places: map[string]place{}, keys: map[string]string{}, locks: map[string]*hand{},
	}
	for range 3 {
		m.hire()
	}
	return m
}

func (m *model) hire() {
	m.t.Helper()
	w := &modelWorker{settled: make(chan Settlement, 64)}
	o := ConsumerOptions{Schedule: noDelay{}, Concurrency: 3, MaxDeliveries: 1000}
	o.Observer.Settled = func(s Settlement) { w.settled <- s }
	o.Observer.Trouble = func(doing string, err error) { m.t.Errorf("%s: %v", doing, err) }
	o.Handler = func(_ context.Context, d *Delivery) (Outcome, error) {
		h := &hand{Delivery: d, worker: w, answer: make(chan error, 1)}
		m.begun <- h
		if err := <-h.answer; err != nil {
			return Outcome{}, err
		}
		return Outcome{Status: Tagged, State: []byte(d.EntryID)}, nil
	}
	var err error
	if w.Consumer, err = NewConsumer(m.q, o); err != nil {
		m.t.Fatal(err)
	}
	w.o.Block = -1 // a read of an empty log returns at once
	w.prepare(m.t.Context())
	if err := w.join(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	m.workers = append(m.workers, w)
}

func (m *model) dismiss() {
	for _, h := range m.hands {
		h.answer <- nil
	}
	for _, w := range m.workers {
		w.running.Wait()
		w.settler.close()
		w.stopWork(nil)
		_ = w.reader.Close()
	}
	m.publisher.Close()
}

func (m *model) didf(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }

func (m *model) fatalf(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf(format+"\nafter:\n%s", append(args, strings.Join(m.log, "\n"))...)
}

func (m *model) step() {
	w := m.workers[m.random.IntN(len(m.workers))]
	switch op := m.random.IntN(100); {
	case op < 30:
		m.publish()
	case op < 45:
		m.take(w)
	case op < 57:
		m.due(w)
	case op < 80:
		if len(m.hands) > 0 {
			m.settle(m.hands[m.random.IntN(len(m.hands))])
		}
	case op < 86:
		m.expire()
	case op < 92:
		m.rescue(w)
	case op < 97:
		m.replay()
	default:
		m.trim()
	}
}

// in lists the entries of a place in the order of the log.
func (m *model) in(p place) []string {
	var ids []string
	for id, at := range m.places {
		if at == p {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareIDs)
	return ids
}

func compareIDs(a, b string) int {
	var ams, aseq, bms, bseq uint64
	_, _ = fmt.Sscanf(a, "%d-%d", &ams, &aseq)
	_, _ = fmt.Sscanf(b, "%d-%d", &bms, &bseq)
	if ams != bms {
		return int(int64(ams) - int64(bms))
	}
	return int(int64(aseq) - int64(bseq))
}

func (m *model) publish() {
	n := m.random.IntN(len(m.entries) + 2) // an earlier message, or a new one
	known := n < len(m.entries)
	if !known {
		n = len(m.entries)
	}
	key := []string{"", "a", "b", "c"}[n%4]
	got, err := m.publisher.Publish(m.t.Context(), Message{ID: fmt.Sprintf("msg_%d", n), Key: key, Body: []byte("{}"), ReceivedAt: time.Now()})
	if err != nil {
		m.fatalf("publish: %v", err)
	}
	m.didf("publish msg_%d key %q: %+v", n, key, got)
	switch {
	case got.Duplicate != known:
		m.fatalf("duplicate %t, want %t", got.Duplicate, known)
	case known && got.EntryID != m.entries[n]:
		m.fatalf("a repeat answers %s, the first was %s", got.EntryID, m.entries[n])
	case !known:
		m.entries = append(m.entries, got.EntryID)
		m.places[got.EntryID], m.keys[got.EntryID] = unread, key
	}
}

// begin is what the model expects of entries that a worker starts, in that order.
func (m *model) begin(what string, ids []string) {
	m.t.Helper()
	expected := 0
	locked := map[string]bool{}
	for _, id := range ids {
		key := m.keys[id]
		if key != "" && (m.locks[key] != nil || locked[key]) {
			m.places[id] = waiting
			continue
		}
		m.places[id] = inHand
		locked[key] = key != ""
		expected++
	}
	for range expected {
		select {
		case h := <-m.begun:
			m.hands = append(m.hands, h)
			if h.Key != "" {
				m.locks[h.Key] = h
			}
		case <-time.After(10 * time.Second):
			m.fatalf("%s: a handler did not begin", what)
		}
	}
	m.didf("%s %v: %d began", what, ids, expected)
}

func (m *model) take(w *modelWorker) {
	n := w.free()
	if n == 0 {
		return
	}
	if err := w.read(m.t.Context()); err != nil && !errors.Is(err, redis.Nil) {
		m.fatalf("read: %v", err)
	}
	ids := m.in(unread)
	m.begin("take", ids[:min(n, len(ids))])
}

func (m *model) due(w *modelWorker) {
	n := w.free()
	ids := m.in(waiting)
	if n == 0 || len(ids) == 0 {
		return
	}
	for _, id := range ids { // time passes
		if err := m.q.rdb.ZAddXX(m.t.Context(), m.q.keys.due(), redis.Z{Score: 1, Member: id}).Err(); err != nil {
			m.fatalf("zadd: %v", err)
		}
	}
	slices.Sort(ids) // of one due time: in lexical order
	if _, err := w.takeDue(m.t.Context(), n); err != nil {
		m.fatalf("take due: %v", err)
	}
	m.begin("due", ids[:min(n, len(ids))])
}

func (m *model) settle(h *hand) {
	outcome, end := error(nil), place(Tagged)
	switch m.random.IntN(4) {
	case 0:
		outcome, end = errors.New("not now"), waiting
	case 1:
		outcome, end = Permanent("rejected", errors.New("never")), place(Dead)
	}
	h.answer <- outcome
	m.hands = slices.DeleteFunc(m.hands, func(other *hand) bool { return other == h })
	var s Settlement
	select {
	case s = <-h.worker.settled:
	case <-time.After(10 * time.Second):
		m.fatalf("settle %s: nothing settled", h.EntryID)
	}
	lost := h.gone || h.stale && h.Key != ""
	m.didf("settle %s (stale %t, gone %t) %s: lost %t", h.EntryID, h.stale, h.gone, end, s.Lost)
	if s.Lost != lost {
		m.fatalf("lost %t, want %t", s.Lost, lost)
	}
	if lost {
		if h.again {
			m.begin("again", []string{h.EntryID})
		}
		return
	}
	m.places[h.EntryID] = end
	if m.locks[h.Key] == h {
		delete(m.locks, h.Key)
	}
	await(m, func() bool { return !h.worker.worksOn(h.Delivery) })
}

func await(m *model, ok func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(deadline) {
			m.fatalf("never")
		}
	}
}

// expire lets a lease run out: the worker was stopped, or is cut off. It does not learn of it.
func (m *model) expire() {
	if len(m.hands) == 0 {
		return
	}
	h := m.hands[m.random.IntN(len(m.hands))]
	if h.gone {
		return
	}
	h.stale = true
	m.didf("expire %s", h.EntryID)
	if h.Key != "" && m.locks[h.Key] == h {
		delete(m.locks, h.Key)
		if err := m.q.rdb.Del(m.t.Context(), m.q.keys.lock(h.Key)).Err(); err != nil {
			m.fatalf("del: %v", err)
		}
	}
}

func (m *model) idle(id, owner string) {
	err := m.q.rdb.Do(m.t.Context(), "XCLAIM", m.q.keys.log(), group, owner, 0, id, "IDLE", 3_600_000, "JUSTID").Err()
	if err != nil {
		m.fatalf("xclaim: %v", err)
	}
}

// abandoned lists the entries in hand whose lease has run out: nobody holds them with a lease of today.
func (m *model) abandoned() []string {
	held := map[string]bool{}
	for _, h := range m.hands {
		if !h.stale && !h.gone {
			held[h.EntryID] = true
		}
	}
	return slices.DeleteFunc(m.in(inHand), func(id string) bool { return held[id] })
}

func (m *model) rescue(w *modelWorker) {
	ids := m.abandoned()
	ids = ids[:min(w.free(), len(ids))] // more would wait for a slot; share_test.go shows that
	if len(ids) == 0 {
		return
	}
	for _, id := range ids { // time passes for these
		m.idle(id, m.owner(id))
	}
	w.sweep(m.t.Context())
	var rescued []string
	for _, id := range ids {
		if own := w.hand(m, id); own != nil {
			own.again = true
			continue
		}
		rescued = append(rescued, id)
		for _, h := range m.hands {
			if h.EntryID == id {
				h.gone = true
				h.forget()
			}
		}
	}
	m.begin("rescue", rescued)
}

// hand is the worker's own handler at work on an entry that it lost, nil where there is none.
func (w *modelWorker) hand(m *model, id string) *hand {
	i := slices.IndexFunc(m.hands, func(h *hand) bool { return h.worker == w && h.EntryID == id && !h.gone })
	if i < 0 {
		return nil
	}
	return m.hands[i]
}

// forget lets the lease run out with which the worker took its own entry again.
func (h *hand) forget() {
	h.worker.mu.Lock()
	defer h.worker.mu.Unlock()
	h.again = false
	delete(h.worker.again, h.EntryID)
}

func (w *modelWorker) worksOn(d *Delivery) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flight[d.EntryID] == d
}

func (m *model) owner(id string) string {
	pending, err := m.q.rdb.XPendingExt(m.t.Context(), &redis.XPendingExtArgs{
		Stream: m.q.keys.log(), Group: group, Start: id, End: id, Count: 1,
	}).Result()
	if err != nil || len(pending) != 1 {
		m.fatalf("%s is pending with nobody: %v", id, err)
	}
	return pending[0].Consumer
}

func (m *model) replay() {
	ids := slices.Collect(maps.Keys(m.places))
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids)
	id := ids[m.random.IntN(len(ids))]
	want := 0
	if Status(m.places[id]).Ended() {
		want = 1
	}
	n, err := m.q.Replay(m.t.Context(), id)
	m.didf("replay %s: %d", id, n)
	if err != nil || n != want {
		m.fatalf("replayed %d, %v; want %d", n, err, want)
	}
	if n == 1 {
		m.places[id] = waiting
	}
}

func (m *model) trim() {
	if err := m.q.trim(m.t.Context(), time.Now().Add(time.Hour)); err != nil {
		m.fatalf("trim: %v", err)
	}
	ids := slices.SortedFunc(maps.Keys(m.places), compareIDs)
	first := int64(1 << 62)
	for _, id := range ids {
		if !Status(m.places[id]).Ended() {
			first = arrival(id).UnixMilli()
			break
		}
	}
	m.didf("trim before %d", first)
	for _, id := range ids {
		if arrival(id).UnixMilli() < first {
			delete(m.places, id)
		}
	}
}

// compare checks that each entry is in exactly the one place where the model has it.
func (m *model) compare() {
	m.t.Helper()
	ctx, k := m.t.Context(), m.q.keys
	got := map[string][]place{}
	log, err := m.q.rdb.XRange(ctx, k.log(), "-", "+").Result()
	for _, e := range log {
		got[e.ID] = nil
	}
	pending, pendingErr := m.q.rdb.XPendingExt(ctx, &redis.XPendingExtArgs{Stream: k.log(), Group: group, Start: "-", End: "+", Count: 10_000}).Result()
	for _, p := range pending {
		got[p.ID] = append(got[p.ID], inHand)
	}
	due, dueErr := m.q.rdb.ZRange(ctx, k.due(), 0, -1).Result()
	for _, id := range due {
		got[id] = append(got[id], waiting)
	}
	open, openErr := m.q.rdb.ZRange(ctx, k.open(), 0, -1).Result()
	for id, on := range m.shelved() {
		for _, s := range on {
			if s.status.Ended() {
				got[id] = append(got[id], place(s.status))
			}
		}
	}
	if err := errors.Join(err, pendingErr, dueErr, openErr); err != nil {
		m.fatalf("read: %v", err)
	}
	for _, id := range open {
		if len(got[id]) == 0 {
			got[id] = []place{unread}
		}
	}
	want := map[string][]place{}
	var wantOpen []string
	for id, p := range m.places {
		want[id] = []place{p}
		if !Status(p).Ended() {
			wantOpen = append(wantOpen, id)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.fatalf("places (-model +redis):\n%s", diff)
	}
	slices.Sort(open)
	slices.Sort(wantOpen)
	if !slices.Equal(open, wantOpen) {
		m.fatalf("open %v, want %v", open, wantOpen)
	}
}

// shelved answers the shelves on which each entry stands, and checks them against the entry's record.
func (m *model) shelved() map[string][]shelf {
	m.t.Helper()
	ctx := m.t.Context()
	shelves, err := m.q.shelves(ctx)
	if err != nil {
		m.fatalf("read: %v", err)
	}
	on := map[string][]shelf{}
	for _, s := range shelves {
		ids, err := m.q.rdb.ZRange(ctx, m.q.keys.shelf(s), 0, -1).Result()
		if err != nil {
			m.fatalf("read: %v", err)
		}
		for _, id := range ids {
			on[id] = append(on[id], s)
		}
	}
	ids := slices.Collect(maps.Keys(m.places))
	entries, err := m.q.entries(ctx, ids)
	if err != nil {
		m.fatalf("read: %v", err)
	}
	for _, e := range entries {
		var want []shelf
		if e.Status != Queued {
			want = []shelf{{e.Status, shelfReason(e.Reason), e.Type}}
		}
		if !slices.Equal(on[e.EntryID], want) {
			m.fatalf("entry %s stands on %v, want %v", e.EntryID, on[e.EntryID], want)
		}
	}
	return on
}

// drain works all off. Every entry then has the end that the last handler gave it.
func (m *model) drain() {
	m.t.Helper()
	for round := 0; ; round++ {
		for len(m.hands) > 0 {
			m.settle(m.hands[0])
		}
		if len(m.in(unread))+len(m.in(waiting))+len(m.in(inHand)) == 0 {
			break
		}
		if round > 1000 {
			m.fatalf("does not end: %v", m.places)
		}
		w := m.workers[round%len(m.workers)]
		m.take(w)
		m.due(w)
		m.rescue(w)
		m.compare()
	}
	for id, want := range m.places {
		e, err := m.q.Entry(m.t.Context(), id)
		if err != nil || place(e.Status) != want {
			m.t.Errorf("entry %s ended %s, %v; want %s", id, e.Status, err, want)
		}
	}
}
