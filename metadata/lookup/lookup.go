package lookup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/sync/singleflight"
)

// grace is what a flight gets beyond its timeout to land, before its callers leave a source that does not listen.
const grace = 250 * time.Millisecond

// Options describe a Lookup. Zero means the default; for the three durations and the numbers that may be off, negative
// means off.
type Options struct {
	Name        string        // as in the rules file; part of errors and metrics
	Source      Source        // closed with the Lookup
	Timeout     time.Duration // for the whole answer: waiting for a slot, asking, retrying; 5 s by default
	Retries     int           // further tries after an error of the connection, 2 by default
	Cache       time.Duration // how long an answer is remembered, 1 minute by default
	CacheMisses time.Duration // how long a miss is remembered, 10 s by default and never longer than Cache
	MaxEntries  int           // answers remembered, 10,000 by default and never more than an estimated 32 MiB
	Concurrency int           // asks at a time, 4 by default
	Callers     int           // callers that wait for an answer at a time; the others are turned away after 100 ms. No bound by default
	Breaker     Breaker
	Metrics     *Metrics         // none by default
	Now         func() time.Time // the clock of the cache; time.Now by default
	Jitter      func() float64   // in [0,1), spreads retries; math/rand by default
}

// Answer is what a lookup knows.
type Answer struct {
	Value   any           // a map, a list or a scalar, shared with other callers: never change it
	Missing bool          // the system has nothing, or a parameter was null
	Cached  bool          // nobody was asked for this answer: it was remembered or shared
	Age     time.Duration // since the system said it
}

// Lookup asks its source with care. All methods are safe for concurrent use.
type Lookup struct {
	options Options
	cache   *cache // nil when off
	breaker *breaker
	slots   chan struct{}
	callers chan struct{} // nil without a bound
	flights singleflight.Group

	//nolint:containedctx // ends with Close: a flight belongs to the Lookup, not to the caller that started it
	life  context.Context
	end   context.CancelFunc
	mu    sync.Mutex
	ended bool
	busy  sync.WaitGroup
}

// New makes a Lookup.
func New(o Options) (*Lookup, error) {
	if o.Name == "" || o.Source == nil {
		return nil, errors.New("lookup: name and source are needed")
	}
	o = withDefaults(o)
	l := &Lookup{options: o, breaker: newBreaker(o.Name, o.Breaker), slots: make(chan struct{}, o.Concurrency)}
	if o.Callers > 0 {
		l.callers = make(chan struct{}, o.Callers)
	}
	if o.Cache > 0 {
		var err error
		if l.cache, err = newCache(o); err != nil {
			return nil, fmt.Errorf("lookup %s: %w", o.Name, err)
		}
	}
	l.life, l.end = context.WithCancel(context.Background())
	return l, nil
}

func withDefaults(o Options) Options {
	orDefault(&o.Timeout, 5*time.Second)
	orDefault(&o.Retries, 2)
	orDefault(&o.Cache, time.Minute)
	orDefault(&o.CacheMisses, 10*time.Second)
	o.CacheMisses = min(o.CacheMisses, o.Cache)
	orDefault(&o.MaxEntries, 10_000)
	o.MaxEntries = max(1, o.MaxEntries)
	orDefault(&o.Concurrency, 4)
	o.Concurrency = max(1, o.Concurrency)
	orDefault(&o.Breaker.Failures, 5)
	orDefault(&o.Breaker.Cooldown, 30*time.Second)
	if o.Timeout < 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	return o
}

func orDefault[T int | time.Duration](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}

// Ask answers from the cache, from what another caller is just asking, or from the source. Its error is an *Error,
// ErrClosed or the context's own.
func (l *Lookup) Ask(ctx context.Context, params []any) (Answer, error) {
	answer, err := l.answer(ctx, params)
	err = l.named(err)
	l.options.Metrics.count(l.options.Name, outcomeOf(answer, err))
	return answer, err
}

// Recall answers what is remembered, and a null parameter, without asking anybody; ok is false where that is not enough.
func (l *Lookup) Recall(params []any) (answer Answer, ok bool) {
	values, missing, err := normalize(params)
	switch {
	case err != nil:
		return Answer{}, false
	case missing:
		answer = Answer{Missing: true}
	default:
		remembered, known := l.remembered(fingerprint(values))
		if !known {
			return Answer{}, false
		}
		answer = l.shared(remembered)
	}
	l.options.Metrics.count(l.options.Name, outcomeOf(answer, nil))
	return answer, true
}

func (l *Lookup) answer(ctx context.Context, params []any) (Answer, error) {
	values, missing, err := normalize(params)
	if missing || err != nil {
		return Answer{Missing: missing}, err
	}
	key := fingerprint(values)
	if remembered, ok := l.remembered(key); ok {
		return l.shared(remembered), nil
	}
	if err := l.admit(ctx); err != nil {
		return Answer{}, err
	}
	defer l.leave()
	return l.join(ctx, key, values)
}

// patienceAtTheDoor is how long a caller waits to be one of those that wait: enough for a burst that a quick system works
// off, too short to hold up whoever has other work.
const patienceAtTheDoor = 100 * time.Millisecond

// admit bounds how many callers a slow system can hold up.
func (l *Lookup) admit(ctx context.Context) error {
	if l.callers == nil {
		return nil
	}
	select {
	case l.callers <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(patienceAtTheDoor)
	defer patience.Stop()
	select {
	case l.callers <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("lookup %s: %w", l.options.Name, ctx.Err())
	case <-patience.C:
		return &Error{Kind: Busy, Detail: fmt.Sprintf("slow, and %d callers wait for it already", cap(l.callers))}
	}
}

func (l *Lookup) leave() {
	if l.callers != nil {
		<-l.callers
	}
}

func (l *Lookup) remembered(key cacheKey) (entry, bool) {
	if l.cache == nil {
		return entry{}, false
	}
	return l.cache.get(key, l.options.Now())
}

func (l *Lookup) shared(e entry) Answer {
	return Answer{Value: e.value, Missing: e.missing, Cached: true, Age: l.options.Now().Sub(e.at)}
}

// join waits for the one flight of key, starting it if there is none. A caller that leaves does not end the flight: its
// answer still fills the cache, and its own timeout ends it.
func (l *Lookup) join(ctx context.Context, key cacheKey, values []any) (Answer, error) {
	mine := false
	landed := l.flights.DoChan(string(key[:]), func() (any, error) { //nolint:contextcheck // a flight outlives its first caller
		mine = true // read only after the flight has landed
		return l.fly(key, values)
	})
	patience := time.NewTimer(l.options.Timeout + grace)
	defer patience.Stop()
	select {
	case result := <-landed:
		if result.Err != nil {
			return Answer{}, result.Err
		}
		got, _ := result.Val.(flight)
		answer := l.shared(got.entry)
		answer.Cached = !mine || got.remembered
		return answer, nil
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("lookup %s: %w", l.options.Name, ctx.Err())
	case <-patience.C:
		return Answer{}, &Error{Kind: Timeout, Detail: "no answer in " + l.options.Timeout.String()}
	}
}

// flight is what a flight brings home.
type flight struct {
	entry

	remembered bool
}

// fly fills the cache once for all that wait.
func (l *Lookup) fly(key cacheKey, values []any) (flight, error) {
	if !l.enter() {
		return flight{}, ErrClosed
	}
	defer l.busy.Done()
	// The flight before this one may have landed after this caller had looked.
	if remembered, ok := l.remembered(key); ok {
		return flight{remembered, true}, nil
	}
	ctx, cancel := context.WithTimeout(l.life, l.options.Timeout)
	defer cancel()
	if l.breaker.State() == gobreaker.StateOpen {
		return flight{}, l.openError()
	}
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return flight{}, l.whyEnded(ctx, "no free slot in "+l.options.Timeout.String())
	}
	return l.ask(ctx, key, values)
}

// ask goes to the source and remembers what it said.
func (l *Lookup) ask(ctx context.Context, key cacheKey, values []any) (flight, error) {
	started := time.Now()
	value, err := l.breaker.Execute(func() (any, error) {
		defer func() { l.options.Metrics.observe(l.options.Name, time.Since(started)) }()
		return l.try(ctx, values)
	})
	switch {
	case isRefusedByBreaker(err):
		return flight{}, l.openError()
	case err != nil && !errors.Is(err, ErrMissing):
		return flight{}, err //nolint:wrapcheck // our own
	}
	got := entry{value: value, missing: err != nil, at: l.options.Now()}
	if l.cache != nil {
		l.cache.put(key, got)
	}
	return flight{entry: got}, nil
}

// try asks, and asks again after an error of the connection.
func (l *Lookup) try(ctx context.Context, values []any) (any, error) {
	for attempt := 0; ; attempt++ {
		value, err := l.options.Source.Ask(ctx, values)
		switch {
		case err == nil || errors.Is(err, ErrMissing):
			return value, err
		case ctx.Err() != nil:
			return nil, l.whyEnded(ctx, "no answer in "+l.options.Timeout.String())
		case !isTransport(err) || attempt >= l.options.Retries || !l.pause(ctx, attempt):
			return nil, err
		}
	}
}

func isTransport(err error) bool {
	lookupErr, ok := errors.AsType[*Error](err)
	return ok && lookupErr.Kind == Transport
}

// pause waits at most 50 ms before the first retry, 100 ms before the second and so on, and reports whether there is
// still time.
func (l *Lookup) pause(ctx context.Context, attempt int) bool {
	limit := 50 * time.Millisecond << min(attempt, 5)
	timer := time.NewTimer(time.Duration(float64(limit) * l.options.Jitter()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// whyEnded tells a timeout from a Lookup that was closed.
func (l *Lookup) whyEnded(ctx context.Context, detail string) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{Kind: Timeout, Detail: detail}
	}
	return ErrClosed
}

func (l *Lookup) openError() *Error {
	return &Error{Kind: Open, Detail: "not asked, the circuit breaker is open after repeated failures"}
}

// named puts the lookup's name into an error.
func (l *Lookup) named(err error) error {
	lookupErr, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	copied := *lookupErr
	copied.Lookup = l.options.Name
	return &copied
}

// enter counts a flight in, unless the Lookup is closed.
func (l *Lookup) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.busy.Add(1)
	return true
}

// Close ends what is in flight, waits for it and closes the source.
func (l *Lookup) Close() error {
	l.mu.Lock()
	again := l.ended
	l.ended = true
	l.mu.Unlock()
	if again {
		return nil
	}
	l.end()
	l.busy.Wait()
	if err := l.options.Source.Close(); err != nil {
		return fmt.Errorf("close lookup %s: %w", l.options.Name, err)
	}
	return nil
}

// isCanceled reports an end that says nothing about the system: the caller left or the Lookup was closed.
func isCanceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed)
}
