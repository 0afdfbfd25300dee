package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Handler works on one delivery. Its error is an instruction: nil ends the entry with the outcome, Permanent buries it,
// After waits, Pause stops the process's work until a probe succeeds, anything else backs off.
type Handler func(ctx context.Context, d *Delivery) (Outcome, error)

// Observer is told what happens, to log it. Any field may be nil. No field may block.
type Observer struct {
	Settled func(Settlement)               // an attempt ended
	Paused  func(reason string, err error) // all work stopped
	Resumed func(after time.Duration)
	Trouble func(doing string, err error) // a call to Redis failed; the consumer goes on trying
}

// Settlement is how an attempt ended.
type Settlement struct {
	Delivery *Delivery
	Status   Status
	Reason   string
	Err      error
	Took     time.Duration
	Next     time.Duration // until the next attempt; meaningful where Status has not ended
	Lost     bool          // the lease was lost: nothing was recorded, another worker has the entry
}

// ConsumerOptions says how to work. Zero fields take the defaults.
type ConsumerOptions struct {
	Handler       Handler
	Concurrency   int           // entries worked on at once; default 16
	Lease         time.Duration // how long an entry stays ours without a sign of life; default 20 s
	Schedule      Schedule      // between failures; default ExponentialSchedule{}
	GiveUpAfter   time.Duration // since the first failure in a row; default 24 h
	MaxDeliveries int           // without an outcome, before an entry counts as poison; default 5
	Probe         time.Duration // between probes while paused; default 30 s
	StopWithin    time.Duration // for the entries in flight to finish when stopping; default 3 s
	Block         time.Duration // of a read of an empty log; default 20 s
	Sweep         time.Duration // between looks for what dead workers left; default 30 s
	Trim          time.Duration // between trims; default 1 min
	Pace          *Pace         // of the handler's calls to Seam, taken along with the entries; default: none
	Observer      Observer
	Registerer    prometheus.Registerer // default: none
}

func (o ConsumerOptions) withDefaults() ConsumerOptions {
	setDefault(&o.Concurrency, 16)
	setDefault(&o.Lease, 20*time.Second)
	setDefault(&o.GiveUpAfter, 24*time.Hour)
	setDefault(&o.MaxDeliveries, 5)
	setDefault(&o.Probe, 30*time.Second)
	setDefault(&o.StopWithin, 3*time.Second)
	setDefault(&o.Block, 20*time.Second)
	setDefault(&o.Sweep, 30*time.Second)
	setDefault(&o.Trim, time.Minute)
	if o.Schedule == nil {
		o.Schedule = ExponentialSchedule{}
	}
	return o
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Consumer works entries off. One process has one.
type Consumer struct {
	q       *Queue
	o       ConsumerOptions
	name    string
	metrics *consumerMetrics
	reader  redis.UniversalClient // for blocking reads only; closing it ends them
	settler *batcher[*settleCall]

	slots    chan struct{} // one element for each handler that runs
	settling chan struct{} // one for each entry whose handler has ended and whose end is being recorded
	kick     chan struct{} // wakes the due loop
	gate     gate
	nonce    atomic.Uint64
	// cleared: since the start an entry showed that work is possible.
	cleared atomic.Bool

	work     context.Context // of the handlers; outlives the caller's by StopWithin
	stopWork context.CancelCauseFunc
	running  sync.WaitGroup

	called  time.Time // when the due loop last woke another process
	upkeeps int
	trims   time.Time // when something can be past its retention
	sweeps  string    // where the next sweep of what is in flight begins
	clock   clockWatch

	mu          sync.Mutex
	flight      map[string]*Delivery // by entry id; running, or begun and waiting for a slot
	dueInFlight int                  // of these, what came from the waiting ones
	again       map[string]*Delivery // rescued from this process's own handler, which lost its lease and has not ended yet
	looks       time.Time            // when the due loop looks next
	backlog     bool                 // more was due than there were slots
}

var errStopping = errors.New("the worker is stopping")

// NewConsumer prepares a consumer; Run works.
func NewConsumer(q *Queue, o ConsumerOptions) (*Consumer, error) {
	if o.Handler == nil {
		return nil, errors.New("queue: a consumer needs a handler")
	}
	o = o.withDefaults()
	reader, err := dial(q.o, true)
	if err != nil {
		return nil, err
	}
	c := &Consumer{
		q: q, o: o, name: consumerName(), reader: reader,
		slots: make(chan struct{}, o.Concurrency), settling: make(chan struct{}, o.Concurrency), kick: make(chan struct{}, 1),
		flight: map[string]*Delivery{}, again: map[string]*Delivery{}, sweeps: "0-0",
	}
	reader.AddHook(&q.seen)
	if c.metrics, err = newConsumerMetrics(o.Registerer, &c.gate, c.held); err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	return c, nil
}

// consumerName is unique for each start, so that what an earlier process of this host left is rescued like any other's.
func consumerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

// Run works until ctx ends, then stops in order: reading ends at once, entries in flight get StopWithin to finish, the rest
// is given back. It returns nil after an orderly stop.
func (c *Consumer) Run(ctx context.Context) error {
	c.prepare(ctx)
	defer c.stopWork(errStopping)

	var loops sync.WaitGroup
	loops.Go(func() { c.readLoop(ctx) })
	loops.Go(func() { c.dueLoop(ctx) })
	loops.Go(func() { c.every(ctx, c.o.Lease/3, c.renew) })
	loops.Go(func() { c.sweepLoop(ctx) })
	loops.Go(func() { c.every(ctx, c.o.Trim, c.upkeep) })
	<-ctx.Done()
	// A blocked read does not heed its context: closing its connection ends it.
	if err := c.reader.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		c.trouble("close the reading connection", err)
	}
	loops.Wait()
	return c.stop()
}

// prepare makes what handlers need to run.
func (c *Consumer) prepare(ctx context.Context) {
	c.work, c.stopWork = context.WithCancelCause(context.WithoutCancel(ctx))
	c.settler = newBatcher(2, 128, 1<<20, (*settleCall).size, c.settleBatch)
}

// stop finishes or gives back what is in flight, and leaves the group.
func (c *Consumer) stop() error {
	finished := make(chan struct{})
	go func() { c.running.Wait(); close(finished) }()
	timer := time.NewTimer(c.o.StopWithin)
	defer timer.Stop()
	renewal := time.NewTicker(c.o.Lease / 3)
	defer renewal.Stop()
	for waiting := true; waiting; {
		select {
		case <-finished:
			waiting = false
		case <-renewal.C:
			c.renew(c.work)
		case <-timer.C:
			c.stopWork(errStopping)
			waiting = false
		}
	}
	select {
	case <-finished:
	case <-time.After(time.Second): // a handler that heeds no context: its lease runs out and another worker rescues it
		return errors.New("queue: some handlers did not stop")
	}
	c.settler.close()
	ctx, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
	defer cancel()
	c.leave(ctx)
	return nil
}

// leave gives back what was read and not begun, and takes the name out of the group once nothing is left under it.
func (c *Consumer) leave(ctx context.Context) {
	k := c.q.keys
	err := c.q.run(ctx, releaseScript, []string{k.log(), k.due(), k.wake()}, group, c.name).Err()
	if err == nil {
		err = c.q.run(ctx, forgetScript, []string{k.log()}, group, c.name).Err()
	}
	if err != nil && !redis.HasErrorPrefix(err, "NOGROUP") {
		c.trouble("leave the group", err)
	}
}

// every calls f at once a period has passed, until ctx ends.
func (c *Consumer) every(ctx context.Context, period time.Duration, f func(context.Context)) {
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f(ctx)
		}
	}
}

// trouble reports a failed call to Redis.
func (c *Consumer) trouble(doing string, err error) {
	if c.o.Observer.Trouble != nil && !errors.Is(err, context.Canceled) {
		c.o.Observer.Trouble(doing, err)
	}
}

func (c *Consumer) wakeDueLoop() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// pauseBetweenFailures waits after a failed call, longer for each in a row, at most 5 s.
func pauseBetweenFailures(ctx context.Context, failures int) {
	d := min(50*time.Millisecond<<min(failures, 10), 5*time.Second)
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
