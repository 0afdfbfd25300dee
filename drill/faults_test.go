package drill

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"seamtag/internal/parts"
)

const clockStep = 10 * time.Minute

// drills are all faults. Each setup answers the stage and what breaks it.
var drills = []drill{
	{name: "kill -9 of a worker", short: true, setup: killWorker},
	{name: "kill -9 of a worker, the others busy with a backlog", setup: killBusyWorker},
	{name: "kill -9 of the web process", short: true, setup: killWeb},
	{name: "kill -9 of Redis (appendfsync always)", short: true, setup: killRedis},
	{name: "SIGSTOP of a worker, longer than its lease", setup: stopWorker},
	{name: "Sentinel: kill -9 of the primary (REDIS_ACK=replica)", setup: failSentinel},
	{name: "Sentinel: the primary hangs, then comes back (REDIS_ACK=replica)", setup: hangSentinel},
	{name: "Cluster: kill -9 of the primary (REDIS_ACK=replica)", setup: failCluster},
	{name: "Redis out of memory", setup: fillRedis},
	{name: "Redis's clock 10 minutes ahead", setup: func(t *testing.T) (*stage, func()) { return stepClock(t, clockStep) }},
	{name: "Redis's clock 10 minutes back", setup: func(t *testing.T) (*stage, func()) { return stepClock(t, -clockStep) }},
	{name: "Redis slow: every answer 200 ms late", setup: slowRedis},
	{name: "network cut between a worker and Redis", setup: cutWorker},
	{name: "network cut between everything and Redis, 30 s", setup: cutAll},
	{name: "deploy: rolling restart of web and worker", short: true, setup: deploy},
}

const inFlight = 4 // entries a worker must hold when it is hit

func killWorker(t *testing.T) (*stage, func()) {
	s := newStage(t, standalone(parts.Redis(t)), 1, 3)
	return s, func() { s.killWorker() }
}

// killBusyWorker gives the workers less to work with than comes in: the others have no slot free for what a dead one left.
func killBusyWorker(t *testing.T) (*stage, func()) {
	s := newStage(t, standalone(parts.Redis(t)), 1, 3, "SEAMTAG_CONCURRENCY="+strconv.Itoa(inFlight))
	return s, func() {
		s.killWorker()
		s.workers = append(s.workers, s.startWorker()) // to work off what has come meanwhile
	}
}

func (s *stage) killWorker() {
	s.t.Helper()
	victim := s.workers[0]
	s.workers = s.workers[1:]
	s.awaitHolding(victim, inFlight)
	s.strike()
	victim.kill()
	s.awaitTagged()
}

func killWeb(t *testing.T) (*stage, func()) {
	s := newStage(t, standalone(parts.Redis(t)), 1, 2)
	return s, func() {
		s.webs[0].kill()
		s.awaitRefused(rate)
		s.webs[0] = s.startWeb()
		s.load.use(s.webs...)
	}
}

func killRedis(t *testing.T) (*stage, func()) {
	server := parts.Redis(t)
	s := newStage(t, standalone(server), 1, 2)
	return s, func() {
		s.awaitHolding(s.workers[0], inFlight)
		s.strike()
		server.Kill()
		s.awaitRefused(2 * rate)
		server.Start()
		s.awaitTagged()
	}
}

// stopWorker lets a worker sleep over the end of its lease, and another system write meanwhile: when the worker wakes, it
// holds metadata that it read before, and must not write it.
func stopWorker(t *testing.T) (*stage, func()) {
	s := newStage(t, standalone(parts.Redis(t)), 1, 3)
	return s, func() {
		s.awaitHolding(s.workers[0], inFlight)
		s.strike()
		s.workers[0].signal(syscall.SIGSTOP)
		s.awaitTagged()
		s.load.rewrite(s.load.acceptedBefore(s.fault))
		s.workers[0].signal(syscall.SIGCONT)
		s.awaitAccepted(10 * rate)
	}
}

func sentinel(t *testing.T) (*stage, *parts.RedisSentinel) {
	set := parts.Sentinel(t)
	o, err := redis.ParseFailoverURL(set.URL())
	if err != nil {
		t.Fatal(err)
	}
	audit := redis.NewFailoverClient(o)
	t.Cleanup(func() { _ = audit.Close() })
	return newStage(t, backend{url: set.URL(), mode: "sentinel", ack: "replica", audit: audit}, 1, 2), set
}

func failSentinel(t *testing.T) (*stage, func()) {
	s, set := sentinel(t)
	return s, func() {
		died := set.Primary()
		died.Kill()
		s.await("a replica takes over", func() bool { return set.Primary() != died })
		s.awaitTagged()
		died.Start()
	}
}

// hangSentinel lets the old primary come back while clients still hold connections to it.
func hangSentinel(t *testing.T) (*stage, func()) {
	s, set := sentinel(t)
	return s, func() {
		hangs := set.Primary()
		hangs.Signal(syscall.SIGSTOP)
		s.await("a replica takes over", func() bool { return set.Primary() != hangs })
		hangs.Signal(syscall.SIGCONT)
		s.awaitTagged()
	}
}

func failCluster(t *testing.T) (*stage, func()) {
	cluster := parts.Cluster(t)
	o, err := redis.ParseClusterURL(cluster.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.ClusterStateReloadInterval = time.Second
	audit := redis.NewClusterClient(o)
	t.Cleanup(func() { _ = audit.Close() })
	s := newStage(t, backend{url: cluster.URL(), mode: "cluster", ack: "replica", audit: audit}, 1, 2)
	return s, func() {
		died := cluster.Primary(keyPrefix)
		died.Kill()
		s.await("its replica takes over", func() bool { return cluster.Primary(keyPrefix) != died })
		died.Start() // the new primary has no replica without it, and REDIS_ACK=replica wants one
		s.awaitTagged()
	}
}

// fillRedis lets Redis take nothing more for as long as the work that it has needs: there is a backlog.
func fillRedis(t *testing.T) (*stage, func()) {
	server := parts.Redis(t)
	s := newStage(t, standalone(server), 1, 2, "SEAMTAG_CONCURRENCY="+strconv.Itoa(inFlight))
	return s, func() {
		limit := func(bytes int) {
			if err := server.Client().ConfigSet(t.Context(), "maxmemory", strconv.Itoa(bytes)).Err(); err != nil {
				t.Fatal(err)
			}
		}
		limit(usedMemory(t, server) - 100<<10)
		s.awaitRefused(2 * rate)
		s.awaitTagged()
		limit(0)
	}
}

func usedMemory(t *testing.T, server *parts.RedisServer) int {
	t.Helper()
	info, err := server.Client().InfoMap(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(info["Memory"]["used_memory"])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func stepClock(t *testing.T, by time.Duration) (*stage, func()) {
	server, step := parts.RedisWithClock(t)
	s := newStage(t, standalone(server), 1, 3)
	return s, func() {
		s.awaitWaiting(3)
		s.strike()
		step(by)
		s.awaitTagged()
	}
}

// awaitWaiting waits until so many entries wait for their time.
func (s *stage) awaitWaiting(entries int64) {
	s.t.Helper()
	s.await("entries wait", func() bool {
		n, err := s.backend.audit.ZCard(s.t.Context(), keyPrefix+"due").Result()
		return err == nil && n >= entries
	})
}

// proxied is a standalone Redis that processes reach through proxies.
func proxied(t *testing.T) (backend, *parts.RedisServer, *parts.Proxy) {
	server := parts.Redis(t)
	proxy := parts.NewProxy(t, server.Addr())
	b := standalone(server)
	b.url = "redis://" + proxy.Addr() + "/0"
	return b, server, proxy
}

func slowRedis(t *testing.T) (*stage, func()) {
	b, _, proxy := proxied(t)
	s := newStage(t, b, 1, 2)
	return s, func() {
		proxy.Delay(200 * time.Millisecond)
		s.awaitTagged()
		s.awaitAccepted(20 * rate)
	}
}

// cutWorker cuts one worker off until another has done its work, and some more.
func cutWorker(t *testing.T) (*stage, func()) {
	b, server, proxy := proxied(t)
	cut := b
	b.url = server.URL()
	s := newStage(t, b, 1, 2)
	s.backend = cut
	s.workers = append(s.workers, s.startWorker())
	return s, func() {
		s.awaitHolding(s.workers[2], inFlight)
		s.strike()
		proxy.Cut()
		s.awaitTagged()
		s.load.rewrite(s.load.acceptedBefore(s.fault))
		proxy.Heal()
		s.awaitAccepted(10 * rate)
	}
}

func cutAll(t *testing.T) (*stage, func()) {
	b, _, proxy := proxied(t)
	s := newStage(t, b, 1, 2)
	return s, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		proxy.Cut()
		<-ctx.Done()
		proxy.Heal()
		s.awaitTagged()
	}
}

// deploy replaces one process after the other, as a platform does.
func deploy(t *testing.T) (*stage, func()) {
	s := newStage(t, standalone(parts.Redis(t)), 2, 2)
	return s, func() {
		for i, old := range s.webs {
			s.webs[i] = s.startWeb()
			s.load.use(append([]*process{old}, s.webs...)...)
			old.stop()
			s.load.use(s.webs...)
			s.awaitAccepted(rate)
		}
		for i, old := range s.workers {
			s.workers[i] = s.startWorker()
			old.stop()
			s.awaitAccepted(rate)
		}
		s.awaitTagged()
	}
}

// seconds is a duration as the report shows it.
func seconds(d time.Duration) string {
	if d < 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func columns(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }
