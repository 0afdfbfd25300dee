package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"seamtag/config"
	"seamtag/embedded"
	"seamtag/queue"
)

// servedRedis is the Redis that a process serves from.
type servedRedis struct {
	url      string
	volatile bool
	failed   <-chan struct{} // the embedded server cannot be kept up; nil where it is not ours
	stop     func()
}

var errRedisFailed = errors.New("the embedded redis died and could not be kept up: see redis.log in SEAMTAG_DATA")

// startRedis answers the Redis of the configuration, or starts an embedded one.
func startRedis(ctx context.Context, c *config.Config, log zerolog.Logger) (servedRedis, error) {
	if c.RedisURL != "" {
		return servedRedis{url: c.RedisURL.Reveal(), stop: func() {}}, nil
	}
	r, err := embedded.Start(ctx, embedded.Options{Dir: c.DataDir, Log: log})
	if err != nil {
		return servedRedis{}, fmt.Errorf("start the embedded redis: %w", err)
	}
	log.Info().Str("redis", r.Name()).Bool("volatile", r.Volatile()).Msg("embedded redis is up")
	stop := func() {
		if err := r.Close(); err != nil {
			log.Warn().Err(err).Msg("stop the embedded redis")
		}
	}
	return servedRedis{url: r.URL(), volatile: r.Volatile(), failed: r.Done(), stop: stop}, nil
}

// onFailure ends the process's work when the embedded server is lost for good.
func (r *servedRedis) onFailure(ctx context.Context, cancel context.CancelCauseFunc) {
	if r.failed == nil {
		return
	}
	go func() {
		select {
		case <-r.failed:
			cancel(errRedisFailed)
		case <-ctx.Done():
		}
	}()
}

// openQueue opens the queue for a command that looks at it or changes it beside the processes that serve: the Redis of the
// configuration, or the embedded one of a serve that runs on the same data folder.
func openQueue(ctx context.Context, c *config.Config) (*queue.Queue, error) {
	url := c.RedisURL.Reveal()
	if url == "" {
		found, err := embedded.Find(ctx, c.DataDir)
		if errors.Is(err, embedded.ErrNotRunning) {
			problem := "is not set, and no seamtag serve with an embedded Redis runs on " + c.DataDir + " (SEAMTAG_DATA)"
			return nil, usage(&config.Error{Variable: "REDIS_URL", Problem: problem})
		}
		if err != nil {
			return nil, err
		}
		url = found
	}
	return newQueue(c, url)
}

// openQueueAlone opens the queue for a command that asks Seam for nothing.
func openQueueAlone(ctx context.Context, p Process) (*queue.Queue, error) {
	c, err := load(p)
	if err != nil {
		return nil, err
	}
	return openQueue(ctx, &c)
}

func newQueue(c *config.Config, url string) (*queue.Queue, error) {
	q, err := queue.Open(queue.Options{
		URL: url, Mode: queue.Mode(c.RedisMode), Ack: queue.Ack(c.RedisAck), Retention: time.Duration(c.Retention),
	})
	if err != nil {
		return nil, usage(&config.Error{Variable: "REDIS_URL", Problem: err.Error()})
	}
	return q, nil
}
