package drill

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"seamtag/internal/parts"
	"seamtag/queue"
)

// patience is how long a step of a drill may take before the drill fails.
const patience = 3 * time.Minute

// seamLatency of every call: an event takes three in a row, so that there is always work in flight.
const seamLatency = 250 // ms

// keyPrefix is what all keys of the queue begin with.
const keyPrefix = "{seamtag:default}:"

// backend is the Redis of a stage.
type backend struct {
	url, mode, ack string
	audit          redis.UniversalClient
}

func standalone(s *parts.RedisServer) backend {
	return backend{url: s.URL(), mode: "standalone", ack: "memory", audit: s.Client()}
}

// stage is everything that runs during one drill.
type stage struct {
	t       *testing.T
	backend backend
	seam    *seamProcess
	load    *load
	webs    []*process
	workers []*process
	fault   time.Time // when it struck
}

// newStage starts a pretend Seam and web processes; workers are started by startWorkers.
func newStage(t *testing.T, b backend, webs, workers int, environ ...string) *stage {
	t.Helper()
	s := &stage{t: t, backend: b, seam: startSeam(t)}
	ask[bool](s.seam, "latency", seamLatency)
	s.load = newLoad(t, s.seam)
	for range webs {
		s.webs = append(s.webs, s.startWeb(environ...))
	}
	for range workers {
		s.workers = append(s.workers, s.startWorker(environ...))
	}
	s.load.use(s.webs...)
	return s
}

func (s *stage) startWeb(environ ...string) *process {
	s.t.Helper()
	return startProcess(s.t, "web", append(s.redisEnviron(), append([]string{"SEAM_WEBHOOK_SECRET=" + secret}, environ...)...)...)
}

func (s *stage) startWorker(environ ...string) *process {
	s.t.Helper()
	return startProcess(s.t, "worker", append(s.redisEnviron(), append([]string{
		"SEAM_API_KEY=" + apiKey, "SEAM_ENDPOINT=" + s.seam.url, "SEAMTAG_SEAM_RATE=1000/s",
	}, environ...)...)...)
}

func (s *stage) redisEnviron() []string {
	return []string{"REDIS_URL=" + s.backend.url, "REDIS_MODE=" + s.backend.mode, "REDIS_ACK=" + s.backend.ack}
}

// strike notes the moment of the fault.
func (s *stage) strike() { s.fault = time.Now() }

func (s *stage) await(what string, ok func() bool) {
	s.t.Helper()
	parts.Await(s.t, what, patience, ok)
}

// awaitAccepted waits until so many more messages are accepted.
func (s *stage) awaitAccepted(more int) {
	s.t.Helper()
	want := len(s.load.acceptedBefore(time.Now())) + more
	s.await(fmt.Sprintf("%d more messages are accepted", more), func() bool { return len(s.load.acceptedBefore(time.Now())) >= want })
}

// awaitRefused waits until so many more attempts are refused.
func (s *stage) awaitRefused(more int) {
	s.t.Helper()
	refused := func() int {
		s.load.mu.Lock()
		defer s.load.mu.Unlock()
		return s.load.refused
	}
	want := refused() + more
	s.await(fmt.Sprintf("%d more attempts are refused", more), func() bool { return refused() >= want })
}

// awaitHolding waits until a worker has so many entries in flight.
func (s *stage) awaitHolding(worker *process, entries int64) {
	s.t.Helper()
	name := fmt.Sprintf("-%d-", worker.cmd.Process.Pid)
	s.await("the worker has work in flight", func() bool {
		pending, err := s.backend.audit.XPending(s.t.Context(), keyPrefix+"log", "workers").Result()
		if err != nil {
			return false
		}
		for consumer, n := range pending.Consumers {
			if strings.Contains(consumer, name) && n >= entries {
				return true
			}
		}
		return false
	})
}

// awaitTagged waits until everything accepted before the fault has ended, and is tagged at Seam.
func (s *stage) awaitTagged() {
	s.t.Helper()
	before := s.load.acceptedBefore(s.fault)
	s.await("what was accepted before the fault is tagged", func() bool {
		states := ask[map[string]accountState](s.seam, "states", accountsOf(before))
		ends, err := s.ends(before)
		if err != nil {
			return false
		}
		for i, m := range before {
			if !isTagged(m, states) || ends[i].IsZero() {
				return false
			}
		}
		return true
	})
}

// ends are the times at which the messages' entries ended, by the workers' clocks; zero where one has not.
func (s *stage) ends(messages []*message) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	ends := make([]time.Time, len(messages))
	if len(messages) == 0 {
		return ends, nil
	}
	replies, err := s.backend.audit.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, m := range messages {
			p.HMGet(ctx, keyPrefix+"entry:"+m.entry, "status", "ended_at")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, reply := range replies {
		var e struct {
			Status string `redis:"status"`
			Ended  int64  `redis:"ended_at"`
		}
		if err := reply.(*redis.SliceCmd).Scan(&e); err != nil {
			return nil, err
		}
		if queue.Status(e.Status).Ended() {
			ends[i] = time.UnixMilli(e.Ended)
		}
	}
	return ends, nil
}

// goesOn is how long after the fault everything accepted before it had ended, and something accepted after it too.
func (s *stage) goesOn(accepted []*message) time.Duration {
	s.t.Helper()
	ends, err := s.ends(accepted)
	if err != nil {
		s.t.Fatalf("read the entries: %v", err)
	}
	var last, first time.Time
	for i, m := range accepted {
		switch {
		case m.accepted.Before(s.fault) && ends[i].After(last):
			last = ends[i]
		case m.accepted.After(s.fault) && (first.IsZero() || ends[i].Before(first)):
			first = ends[i]
		}
	}
	return max(last.Sub(s.fault), first.Sub(s.fault))
}

func accountsOf(messages []*message) []string {
	ids := make([]string, 0, len(messages))
	for _, m := range messages {
		ids = append(ids, m.account.ID)
	}
	return ids
}

func isTagged(m *message, states map[string]accountState) bool {
	return states[m.account.ID].Metadata[tagKey] == m.account.Tenant
}

// awaitEnds waits until nothing is open in the queue.
func (s *stage) awaitEnds() {
	s.t.Helper()
	s.await("every entry has ended", func() bool {
		open, err := s.backend.audit.ZCard(s.t.Context(), keyPrefix+"open").Result()
		due, err2 := s.backend.audit.ZCard(s.t.Context(), keyPrefix+"due").Result()
		pending, err3 := s.backend.audit.XPending(s.t.Context(), keyPrefix+"log", "workers").Result()
		return err == nil && err2 == nil && err3 == nil && open == 0 && due == 0 && pending.Count == 0
	})
}

// entriesBeyond counts entries of the log beyond one a message, and those that are not in exactly one list of ended ones.
func (s *stage) entriesBeyond(accepted []*message) int {
	s.t.Helper()
	ctx, rdb := s.t.Context(), s.backend.audit
	bearers := map[string]int{}
	log, err := rdb.XRange(ctx, keyPrefix+"log", "-", "+").Result()
	if err != nil {
		s.t.Fatalf("read the log: %v", err)
	}
	lists := map[string]int{}
	shelves, err := rdb.SMembers(ctx, keyPrefix+"shelves").Result()
	if err != nil {
		s.t.Fatalf("read the lists of ended entries: %v", err)
	}
	for _, shelf := range shelves {
		ids, err := rdb.ZRange(ctx, keyPrefix+"shelf:"+shelf, 0, -1).Result()
		if err != nil {
			s.t.Fatalf("read the list %s: %v", shelf, err)
		}
		for _, id := range ids {
			lists[id]++
		}
	}
	beyond := 0
	for _, entry := range log {
		id, _ := entry.Values["message_id"].(string)
		if bearers[id]++; bearers[id] > 1 {
			beyond++
		}
		if lists[entry.ID] != 1 {
			beyond++
		}
	}
	for _, m := range accepted {
		if bearers[m.id] == 0 {
			s.t.Errorf("message %s was accepted as entry %s, which is not in the log", m.id, m.entry)
		}
	}
	return beyond
}

// checkLogs looks for what must not be in a log line (P9).
func (s *stage) checkLogs() {
	s.t.Helper()
	for _, p := range append(append([]*process(nil), s.webs...), s.workers...) {
		for _, word := range []string{secret, apiKey, "tenant-msg_", "@sandbox.example", `"` + foreignKey + `":`} {
			if strings.Contains(p.text(), word) {
				s.t.Errorf("the log of a %s holds %q", p.role, word)
			}
		}
	}
}
