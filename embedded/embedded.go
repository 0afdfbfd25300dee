package embedded

import (
	"context"
	"errors"
	"os/exec"
	"sync"

	"github.com/rs/zerolog"
)

// Options say where the data lives and which servers to look for.
type Options struct {
	// Dir is the data folder (SEAMTAG_DATA). It is created with mode 0700 where missing; needed unless the Redis
	// turns out volatile.
	Dir string
	// LookPath finds a program by name. Default: exec.LookPath.
	LookPath func(name string) (string, error)
	// Log takes the state changes and the server's own warnings. Default: nothing is logged.
	Log zerolog.Logger
	// Volatile asks for the in-memory Redis even where a server is installed.
	Volatile bool
}

// server is one of the two kinds: a child process, or miniredis.
type server interface {
	url() string
	name() string
	failed() <-chan struct{}
	close() error
}

// Redis is a running embedded Redis.
type Redis struct {
	server   server
	volatile bool
	withdraw func() // what announce did
	once     sync.Once
	err      error
}

// Start starts a Redis and returns when it answers commands. ctx bounds the start only: a started Redis runs until
// Close, because an ordered shutdown still needs it after ctx was cancelled.
func Start(ctx context.Context, o Options) (*Redis, error) {
	if o.LookPath == nil {
		o.LookPath = exec.LookPath
	}
	r, err := choose(ctx, o)
	if err != nil || o.Dir == "" {
		return r, err
	}
	if r.withdraw, err = announce(o.Dir, r.URL()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func choose(ctx context.Context, o Options) (*Redis, error) {
	if o.Volatile || !supervises {
		return startVolatile(o, "asked for")
	}
	bin, ok := find(o.LookPath)
	if !ok {
		return startVolatile(o, "neither redis-server nor valkey-server is on the PATH")
	}
	if o.Dir == "" {
		return nil, errors.New("embedded redis: no data folder given")
	}
	c, err := startChild(ctx, bin, o.Dir, o.Log, patience())
	if err != nil {
		return nil, err
	}
	return &Redis{server: c, withdraw: func() {}}, nil
}

func startVolatile(o Options, why string) (*Redis, error) {
	m, err := startMemory()
	if err != nil {
		return nil, err
	}
	o.Log.Warn().Str("why", why).
		Msg("VOLATILE: events are kept in memory only and are lost when this process ends; " +
			"install redis-server or set REDIS_URL before real use")
	return &Redis{server: m, volatile: true, withdraw: func() {}}, nil
}

func find(lookPath func(string) (string, error)) (string, bool) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if bin, err := lookPath(name); err == nil {
			return bin, true
		}
	}
	return "", false
}

// URL is the address as redis.ParseURL takes it, unix:// or redis://. It may hold a password: log Name, not URL.
func (r *Redis) URL() string { return r.server.url() }

// Volatile reports whether everything is lost when this process ends.
func (r *Redis) Volatile() bool { return r.volatile }

// Name says what runs, such as "redis-server 7.0.15 (/usr/bin/redis-server)" or "miniredis (in memory)".
func (r *Redis) Name() string { return r.server.name() }

// Done is closed when the server died and could not be kept up. Close does not close it.
func (r *Redis) Done() <-chan struct{} { return r.server.failed() }

// Close ends the server in order and releases the data folder; within 4 s. Later calls return what the first returned.
func (r *Redis) Close() error {
	r.once.Do(func() {
		r.withdraw()
		r.err = r.server.close()
	})
	return r.err
}
