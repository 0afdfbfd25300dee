package queue

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// newCluster makes a client that looks for the new primary as soon as a node gives no answer. By itself go-redis goes on
// asking a node that died, until its map of the cluster is a minute old.
func newCluster(o *redis.ClusterOptions) *redis.ClusterClient {
	h := &mapRefresh{}
	o.NewClient = func(o *redis.Options) *redis.Client {
		node := redis.NewClient(o)
		node.AddHook(h)
		return node
	}
	c := redis.NewClusterClient(o)
	h.cluster.Store(c)
	return c
}

// mapRefresh is a hook of every node, so that it sees commands that the cluster's client does not route, too.
type mapRefresh struct {
	cluster atomic.Pointer[redis.ClusterClient]
}

// note asks for a new map, in the background and at most once at a time, where the node gave no answer or has lost its
// slots: a command that was sent to one node, such as WAIT with what it waits for, does not follow a MOVED.
func (h *mapRefresh) note(ctx context.Context, err error) {
	if c := h.cluster.Load(); c != nil && isOutdated(err) {
		c.ReloadState(ctx)
	}
}

func isOutdated(err error) bool {
	var answered redis.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, redis.ErrClosed):
		return false
	case errors.As(err, &answered):
		return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "READONLY")
	}
	return true
}

// DialHook implements redis.Hook.
func (h *mapRefresh) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h *mapRefresh) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h.note(ctx, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h *mapRefresh) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		h.note(ctx, err)
		return err
	}
}
