package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Mode is the kind of Redis a URL leads to.
type Mode string

// The modes, as REDIS_MODE names them.
const (
	Standalone Mode = "standalone"
	Cluster    Mode = "cluster"
	Sentinel   Mode = "sentinel"
)

// Ack says when a publish counts as accepted.
type Ack string

// The acknowledgements, as REDIS_ACK names them.
const (
	AckMemory  Ack = "memory"  // the primary has it
	AckReplica Ack = "replica" // and one replica has it too
)

// Options says where a queue lives and how long it remembers.
type Options struct {
	// URL as go-redis reads it: redis://, rediss:// or unix:// with REDIS_MODE standalone; with addr= for further nodes
	// in mode cluster, and with addr= and master_name= in mode sentinel.
	URL       string
	Mode      Mode          // default Standalone
	Ack       Ack           // default AckMemory
	Workspace string        // default "default": one Redis can serve several workspaces
	Retention time.Duration // how long ended entries and marks are kept; default 30 days
	StateTTL  time.Duration // how long the state of a key outlives its last entry; default 400 days, at least Retention
}

// Queue is one workspace's queue in Redis. It is safe for concurrent use.
type Queue struct {
	o    Options
	keys keys
	rdb  redis.UniversalClient
	seen lastSeen

	dialect spoken
	known   knownShelves
	changes atomic.Uint64 // calls of this process that changed what is queued
}

// Open prepares a queue. It does not need Redis to be up; an unreadable URL or mode is an error that does not show the URL.
func Open(o Options) (*Queue, error) {
	o = withDefaults(o)
	rdb, err := dial(o, false)
	if err != nil {
		return nil, err
	}
	q := &Queue{o: o, keys: newKeys(o.Workspace), rdb: rdb}
	rdb.AddHook(&q.seen)
	return q, nil
}

func withDefaults(o Options) Options {
	if o.Mode == "" {
		o.Mode = Standalone
	}
	if o.Ack == "" {
		o.Ack = AckMemory
	}
	if o.Workspace == "" {
		o.Workspace = "default"
	}
	if o.Retention <= 0 {
		o.Retention = 30 * 24 * time.Hour
	}
	if o.StateTTL <= 0 {
		o.StateTTL = 400 * 24 * time.Hour
	}
	o.StateTTL = max(o.StateTTL, o.Retention)
	return o
}

// Close closes the connections.
func (q *Queue) Close() error {
	if err := q.rdb.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("queue: close: %w", err)
	}
	return nil
}

// dial makes a client of its own. A blocking one is for one reader: no retries, its one connection may be silent for long.
// A connection does not name its library: that is two commands each, which an ACL user need not be allowed.
func dial(o Options, blocking bool) (redis.UniversalClient, error) {
	switch o.Mode {
	case Standalone:
		c, err := redis.ParseURL(o.URL)
		if err != nil {
			return nil, urlError(err, o)
		}
		tune(&c.DialTimeout, &c.ReadTimeout, &c.WriteTimeout, &c.PoolTimeout, &c.ConnMaxIdleTime, &c.MaxRetries, blocking)
		c.ContextTimeoutEnabled, c.DisableIdentity, c.MaintNotificationsConfig = true, true, noMaintNotifications()
		return redis.NewClient(c), nil
	case Cluster:
		c, err := redis.ParseClusterURL(o.URL)
		if err != nil {
			return nil, urlError(err, o)
		}
		tune(&c.DialTimeout, &c.ReadTimeout, &c.WriteTimeout, &c.PoolTimeout, &c.ConnMaxIdleTime, &c.MaxRetries, blocking)
		c.ContextTimeoutEnabled, c.DisableIdentity, c.MaintNotificationsConfig = true, true, noMaintNotifications()
		return newCluster(c), nil
	case Sentinel:
		c, err := redis.ParseFailoverURL(o.URL)
		if err != nil {
			return nil, urlError(err, o)
		}
		tune(&c.DialTimeout, &c.ReadTimeout, &c.WriteTimeout, &c.PoolTimeout, &c.ConnMaxIdleTime, &c.MaxRetries, blocking)
		c.ContextTimeoutEnabled, c.DisableIdentity = true, true
		return redis.NewFailoverClient(c), nil
	}
	return nil, fmt.Errorf("queue: unknown mode %q, want standalone, cluster or sentinel", o.Mode)
}

func tune(dialing, read, write, pool, idle *time.Duration, retries *int, blocking bool) {
	*dialing, *read, *write, *pool = 2*time.Second, 3*time.Second, 3*time.Second, 3*time.Second
	*idle = 4 * time.Minute // below the idle timeouts that managed Redis servers are known to cut at
	*retries = 2            // every script recognises its own repetition
	if blocking {
		*retries = -1
	}
}

// noMaintNotifications: servers that lack the command answer it with an error on every new connection.
func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// urlError drops what go-redis says about a URL where it could repeat the password in it.
func urlError(err error, o Options) error {
	text := err.Error()
	if o.URL != "" && strings.Contains(text, o.URL) || strings.Contains(text, "@") || strings.Contains(text, "parse ") {
		text = "it is not a URL that redis clients read, such as redis://:password@host:6379/0"
	}
	return fmt.Errorf("queue: the redis url for mode %s: %s", o.Mode, strings.TrimPrefix(text, "redis: "))
}

// SilenceRedis stops go-redis from writing to stderr by itself, for the whole process: every failure comes back as an error
// and is logged where it stops.
func SilenceRedis() { redis.SetLogger(silence{}) }

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// lastSeen notes how the last command went, so that readiness costs no command of its own while there is traffic.
type lastSeen struct {
	ok     atomic.Int64 // unix ms of the last answer, errors that the server answered included
	failed atomic.Int64 // unix ms of the last failure to get one
	reason atomic.Pointer[string]
	// refused is why the server did not take the last write that it refused; nil once it took another.
	refused atomic.Pointer[Problem]
}

func (l *lastSeen) note(err error) {
	var answered redis.Error
	now := time.Now().UnixMilli()
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		l.ok.Store(now)
	case errors.As(err, &answered):
		l.ok.Store(now)
		if p := refusalOf(err); p != nil {
			l.refused.Store(p)
		}
	case errors.Is(err, context.Canceled), errors.Is(err, redis.ErrClosed):
	default:
		text := err.Error()
		l.reason.Store(&text)
		l.failed.Store(now)
	}
}

// DialHook implements redis.Hook.
func (l *lastSeen) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (l *lastSeen) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		l.note(err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (l *lastSeen) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		l.note(err)
		return err
	}
}
