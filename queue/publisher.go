package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	publishFlushers  = 3
	publishMaxItems  = 128
	publishMaxBytes  = 512 << 10
	publishTimeout   = 4 * time.Second
	publishFields    = 10 // per message in publish.lua
	replicaAckWithin = 2 * time.Second
)

// Publisher accepts messages. It coalesces those that come at the same time into one script call.
type Publisher struct {
	q     *Queue
	batch *batcher[*publishCall]

	mu     sync.RWMutex // held for reading while a call is being added
	closed bool
}

type publishCall struct {
	m        Message
	unique   string
	deadline time.Time
	done     chan publishResult
}

type publishResult struct {
	receipt Receipt
	err     error
}

// NewPublisher starts a publisher. Close ends it.
func NewPublisher(q *Queue) *Publisher {
	p := &Publisher{q: q}
	p.batch = newBatcher(publishFlushers, publishMaxItems, publishMaxBytes, func(c *publishCall) int { return len(c.m.Body) }, p.flush)
	return p
}

// Publish returns once Redis has accepted the message, or found the entry that bears its id already (P1, P2). It takes
// ownership of the body. Any error is ErrUnavailable: the message may or may not be kept, and publishing it again is safe.
// It answers within 4 s, or when ctx ends.
func (p *Publisher) Publish(ctx context.Context, m Message) (Receipt, error) {
	return p.publish(ctx, m, "")
}

// PublishOnce is Publish for a message that may have come before under another message id: one that is known by its event
// id is a duplicate too.
func (p *Publisher) PublishOnce(ctx context.Context, m Message) (Receipt, error) {
	return p.publish(ctx, m, "event")
}

func (p *Publisher) publish(ctx context.Context, m Message, unique string) (Receipt, error) {
	if m.ID == "" {
		return Receipt{}, errors.New("queue: publish: a message without an id")
	}
	call := &publishCall{m: m, unique: unique, deadline: time.Now().Add(publishTimeout), done: make(chan publishResult, 1)}
	ctx, cancel := within(ctx, call.deadline)
	defer cancel()
	if err := p.add(ctx, call); err != nil {
		return Receipt{}, unavailable(err)
	}
	select {
	case r := <-call.done:
		return r.receipt, r.err
	case <-ctx.Done():
		return Receipt{}, unavailable(context.Cause(ctx))
	}
}

// within is ctx, ended at the deadline at the latest. One that ends sooner by itself is left as it is: at the door it does,
// and a second timer costs as much as the first.
func within(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if limit, ok := ctx.Deadline(); ok && !limit.After(deadline) {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline)
}

func (p *Publisher) add(ctx context.Context, call *publishCall) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return errors.New("the publisher is closed")
	}
	return p.batch.add(ctx, call)
}

// Close answers the calls under way and refuses further ones.
func (p *Publisher) Close() {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	p.mu.Unlock()
	if !already {
		p.batch.close()
	}
}

func (p *Publisher) flush(calls []*publishCall) {
	keys := make([]string, 0, 2+3*len(calls))
	args := make([]any, 0, 1+publishFields*len(calls))
	keys = append(keys, p.q.keys.log(), p.q.keys.open())
	args = append(args, p.q.o.Retention.Milliseconds())
	deadline := calls[0].deadline
	for _, c := range calls {
		if c.deadline.After(deadline) {
			deadline = c.deadline
		}
		keys = append(keys, p.q.keys.seen(c.m.ID), p.q.keys.event(c.m.EventID), p.q.keys.index(c.m.Key))
		args = append(args, c.unique, c.m.ID, c.m.EventID, c.m.Type, c.m.Workspace, c.m.Key, c.m.Webview, c.m.ReceivedAt.UnixMilli(), c.m.Body,
			c.m.Trace)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	reply, err := p.run(ctx, keys, args)
	p.q.changes.Add(1)
	if err == nil && len(reply) != 2*len(calls) {
		err = fmt.Errorf("%d values for %d messages", len(reply), len(calls))
	}
	for i, c := range calls {
		if err != nil {
			c.done <- publishResult{err: unavailable(err)}
			continue
		}
		c.done <- publishResult{receipt: Receipt{EntryID: reply[2*i], Duplicate: reply[2*i+1] == "1"}}
	}
}

func (p *Publisher) run(ctx context.Context, keys []string, args []any) ([]string, error) {
	if p.q.o.Ack != AckReplica {
		return p.q.run(ctx, publishScript, keys, args...).StringSlice()
	}
	return p.runReplicated(ctx, keys, args)
}

// runReplicated waits for one replica on the connection that wrote. The mark after the script is a write even where the
// script found only duplicates, so that WAIT covers what an earlier, unanswered call wrote.
func (p *Publisher) runReplicated(ctx context.Context, keys []string, args []any) ([]string, error) {
	node, err := p.q.primary(ctx)
	if err != nil {
		return nil, err
	}
	var accepted, replicas *redis.Cmd
	attempt := func(eval func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd) error {
		_, err := node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			accepted = eval(ctx, pipe, keys, args...)
			pipe.Set(ctx, p.q.keys.prefix+"ack", strconv.FormatInt(time.Now().UnixMilli(), 10), time.Minute)
			replicas = pipe.Do(ctx, "WAIT", 1, replicaAckWithin.Milliseconds())
			return nil
		})
		return err
	}
	n, err := p.q.speak(ctx)
	if err != nil {
		return nil, err
	}
	if err = attempt(publishScript[n].EvalSha); redis.HasErrorPrefix(err, "NOSCRIPT") {
		if n, err = p.q.relearn(ctx, n); err == nil {
			err = attempt(publishScript[n].Eval)
		}
	}
	if err != nil {
		return nil, err
	}
	if n, err := replicas.Int(); err != nil || n < 1 {
		return nil, fmt.Errorf("no replica confirmed within %s", replicaAckWithin)
	}
	return accepted.StringSlice()
}

// primary is the node that holds the queue's slot.
func (q *Queue) primary(ctx context.Context) (redis.UniversalClient, error) {
	if c, ok := q.rdb.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, q.keys.log())
	}
	return q.rdb, nil
}
