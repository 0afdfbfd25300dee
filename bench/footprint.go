package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

const apiKey = sandbox.DefaultAPIKey

// whole is one process that does everything, and a pretend Seam on the core of the load.
type whole struct {
	redis   *store
	seam    *sandbox.Sandbox
	server  *http.Server
	process *process
	address string
}

func startWhole(ctx context.Context, s settings) (*whole, error) {
	redis, err := startRedis(ctx)
	if err != nil {
		return nil, err
	}
	w := &whole{redis: redis, seam: sandbox.New(sandbox.Options{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	w.server = &http.Server{Handler: w.seam, ReadHeaderTimeout: time.Minute}
	go func() { _ = w.server.Serve(l) }()
	if w.address, err = freeAddress(); err != nil {
		return nil, err
	}
	w.process, err = startSeamtag(ctx, s, "all", w.address, redis.address,
		"SEAM_ENDPOINT=http://"+l.Addr().String(), "SEAMTAG_SEAM_RATE=100000/s")
	if err != nil {
		return nil, err
	}
	return w, awaitReady(ctx, w.address)
}

func (w *whole) close() error {
	err := w.process.stop()
	_ = w.server.Close()
	w.redis.close()
	return err
}

// awaitReady asks readiness every half millisecond.
func awaitReady(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		if isReady(ctx, address) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not become ready: %w", address, context.Cause(ctx))
		case <-time.After(500 * time.Microsecond):
		}
	}
}

func isReady(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// connect lets accounts connect in the sandbox, and signs their events.
func (w *whole) connect(n int) ([][]byte, error) {
	bodies := make([][]byte, n)
	for i := range bodies {
		webview := w.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"internal_account_id": "user-4711"}})
		bodies[i] = w.seam.Connect(webview).Body
	}
	return signed(bodies)
}

// awaitEnd returns once nothing is left to do.
func (w *whole) awaitEnd(ctx context.Context, ended int64) error {
	q, err := queue.Open(queue.Options{URL: w.redis.url()})
	if err != nil {
		return err
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		stats, err := q.Stats(ctx)
		if err != nil {
			return err
		}
		if stats.Waiting == 0 && stats.Ended[queue.Tagged]+stats.Ended[queue.Unchanged] == ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d still wait, ended: %v", stats.Waiting, stats.Ended)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

const (
	restingEvents = 50
	busyEvents    = 5_000
)

// atRest counts the Redis commands of the whole way of an event: of one at a time, and of many.
func atRest(ctx context.Context, s settings, r *report) error {
	w, err := startWhole(ctx, s)
	if err != nil {
		return err
	}
	resting, err := w.connect(1 + restingEvents)
	if err != nil {
		return err
	}
	if _, err := load(w.address, 1, resting[:1]); err != nil { // what only the first costs
		return err
	}
	if err := w.awaitEnd(ctx, 1); err != nil {
		return err
	}
	busy, err := w.connect(busyEvents)
	if err != nil {
		return err
	}
	stop, err := w.redis.watch(ctx)
	if err != nil {
		return err
	}
	for _, one := range resting[1:] {
		if _, err := load(w.address, 1, [][]byte{one}); err != nil {
			return err
		}
		time.Sleep(30 * time.Millisecond) // at rest: each is through before the next comes
	}
	sent, inner, err := stop()
	if err != nil {
		return err
	}
	figures := whereabouts{callsAtRest: sent / restingEvents, commandsAtRest: (sent + inner) / restingEvents}
	if figures.idle, err = w.process.memory("VmRSS"); err != nil {
		return err
	}
	before, err := w.redis.calls(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := load(w.address, 64, busy); err != nil {
		return err
	}
	if err := w.awaitEnd(ctx, 1+restingEvents+busyEvents); err != nil {
		return err
	}
	figures.perSecond = busyEvents / time.Since(began).Seconds()
	after, err := w.redis.calls(ctx)
	if err != nil {
		return err
	}
	figures.commandsBusy = (after - before) / busyEvents
	if figures.loaded, err = w.process.memory("VmHWM"); err != nil {
		return err
	}
	r.whole(figures)
	return w.close()
}

// whereabouts are the figures of the whole way of an event.
type whereabouts struct {
	callsAtRest, commandsAtRest, commandsBusy float64
	perSecond                                 float64
	idle, loaded                              float64 // MiB
}

// footprint measures how soon a process is ready, how large it is at rest, and the binary.
func footprint(ctx context.Context, s settings, r *report) error {
	redis, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer redis.close()
	figures := rounds{}
	for range 2*s.rounds + 1 {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		began := time.Now()
		p, err := startSeamtag(ctx, s, "all", address, redis.address)
		if err != nil {
			return err
		}
		if err := awaitReady(ctx, address); err != nil {
			return err
		}
		figures.add(ours, "ready", float64(time.Since(began).Microseconds())/1000)
		idle, err := p.memory("VmRSS")
		if err != nil {
			return err
		}
		figures.add(ours, "idle", idle)
		own, err := p.memory("RssAnon")
		if err != nil {
			return err
		}
		figures.add(ours, "own", own)
		stopping := time.Now()
		if err := p.stop(); err != nil {
			return err
		}
		figures.add(ours, "stop", float64(time.Since(stopping).Microseconds())/1000)
	}
	binary, err := os.Stat(s.binary)
	if err != nil {
		return fmt.Errorf("binary: %w", err)
	}
	r.footprint(figures, float64(binary.Size())/(1<<20))
	return nil
}

const (
	settledAfter = 70 * time.Second // what a process does once at its start and then hourly is over by then
	idleFor      = time.Minute
)

// idle counts the commands of processes that have nothing to do, all of them in the same minute.
func idle(ctx context.Context, s settings, r *report) error {
	type sleeper struct {
		name  string
		redis *store
		end   func() error
	}
	var all []sleeper
	w, err := startWhole(ctx, s)
	if err != nil {
		return err
	}
	all = append(all, sleeper{ours, w.redis, w.close})
	for _, one := range systems()[1:] {
		redis, err := startRedis(ctx)
		if err != nil {
			return err
		}
		p, err := startConsumer(ctx, one, redis.address, 0)
		if err != nil {
			return err
		}
		all = append(all, sleeper{one.name, redis, func() error { defer redis.close(); return p.stop() }})
	}
	pause(ctx, settledAfter)
	before := make([]float64, len(all))
	for i, one := range all {
		if before[i], err = one.redis.calls(ctx); err != nil {
			return err
		}
	}
	pause(ctx, idleFor)
	figures := rounds{}
	for i, one := range all {
		after, err := one.redis.calls(ctx)
		if err != nil {
			return err
		}
		figures.add(one.name, "commands", after-before[i])
	}
	r.idle(figures)
	for _, one := range all {
		if err := one.end(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
