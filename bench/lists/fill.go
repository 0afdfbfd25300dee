package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"seamtag/queue"
)

const accounts = 50_000

// kinds are the event types, as many times as they are likely.
var kinds = []string{
	"connected_account.connected", "connected_account.connected", "connected_account.connected", "connected_account.created",
}

// filled is what the retained events cost.
type filled struct {
	published, drained time.Duration
	bytes              int64   // of memory, for each event
	commands           float64 // for each event, those inside scripts counted; trims and renewals included
}

// message is the n-th event, with a body of the size that Seam's have.
func message(n int) queue.Message {
	account := fmt.Sprintf("%08x-0000-4000-8000-000000000000", n%accounts)
	id := fmt.Sprintf("%08x-1111-4111-8111-111111111111", n)
	kind := kinds[n%len(kinds)]
	body := fmt.Sprintf(`{"event_id":%q,"event_type":%q,"workspace_id":"2b1b6e3c-2222-4222-8222-222222222222",`+
		`"created_at":"2026-11-23T12:00:00.000Z","occurred_at":"2026-11-23T12:00:00.000Z","connected_account_id":%q,`+
		`"connect_webview_id":"%08x-3333-4333-8333-333333333333","connected_account_custom_metadata":{"user_id":"user_%d"}}`,
		id, kind, account, n, n)
	return queue.Message{
		ID: fmt.Sprintf("msg_2xJd0bnGrNyCBhzEq%08d", n), EventID: id, Type: kind, Workspace: "2b1b6e3c-2222-4222-8222-222222222222",
		Key: account, Webview: fmt.Sprintf("%08x-3333-4333-8333-333333333333", n), Body: []byte(body), ReceivedAt: time.Now(),
	}
}

// work ends events as a busy workspace's do: most unchanged or tagged, few skipped or dead, for some reasons.
func work(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
	n, err := strconv.Atoi(d.ID[len(d.ID)-8:])
	if err != nil {
		return queue.Outcome{}, err
	}
	switch {
	case n%1000 == 1:
		return queue.Outcome{}, queue.Permanent("rejected", errors.New("update: seam: 400 invalid_input"))
	case n%100_000 == 3:
		return queue.Outcome{}, queue.Permanent("rule_error", errors.New("key plan: no such field"))
	case n%100 == 2:
		return queue.Outcome{Status: queue.Skipped, Reason: "account_gone"}, nil
	}
	status := queue.Unchanged
	if n%2 == 0 {
		status = queue.Tagged
	}
	return queue.Outcome{
		Status: status, State: state(n),
		Result: json.RawMessage(`{"set":{"user_id":"user_1"},"removed":[],"restored":[],"sources":{"user_id":"origin.custom_metadata"}}`),
	}, nil
}

func state(n int) []byte {
	return fmt.Appendf(nil, `{"version":1,"owned":{"user_id":"user_%d"},"snapshot":{"user_id":"user_%d","plan":"gold","vip":true},"first":"a","latest":"b"}`, n, n)
}

func fill(ctx context.Context, q *queue.Queue, rdb *redis.Client, total int) (filled, error) {
	memory, err := usedMemory(ctx, rdb)
	if err != nil {
		return filled{}, err
	}
	if err := rdb.ConfigResetStat(ctx).Err(); err != nil {
		return filled{}, err
	}
	var f filled
	began := time.Now()
	if err := publish(ctx, q, total); err != nil {
		return f, err
	}
	f.published, began = time.Since(began), time.Now()
	if err := drain(ctx, q); err != nil {
		return f, err
	}
	f.drained = time.Since(began)
	commands, err := info(ctx, rdb, "stats")
	if err != nil {
		return f, err
	}
	// total_commands_processed counts those inside scripts too, since Redis 7.
	n, err := strconv.ParseFloat(commands["total_commands_processed"], 64)
	f.commands = n / float64(total)
	after, err2 := usedMemory(ctx, rdb)
	f.bytes = (after - memory) / int64(total)
	return f, errors.Join(err, err2)
}

func usedMemory(ctx context.Context, rdb *redis.Client) (int64, error) {
	values, err := info(ctx, rdb, "memory")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(values["used_memory"], 10, 64)
}

func publish(ctx context.Context, q *queue.Queue, total int) error {
	p := queue.NewPublisher(q)
	defer p.Close()
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range 256 {
		group.Go(func() error {
			for {
				n := int(next.Add(1) - 1)
				if n >= total {
					return nil
				}
				if _, err := p.Publish(ctx, message(n)); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// drain works until nothing waits.
func drain(ctx context.Context, q *queue.Queue) error {
	c, err := queue.NewConsumer(q, queue.ConsumerOptions{
		Handler: work, Concurrency: 256,
		Observer: queue.Observer{Trouble: func(doing string, err error) { fmt.Fprintln(os.Stderr, doing, err) }},
	})
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(working) }()
	for {
		s, err := q.Stats(ctx)
		if err != nil || s.Waiting == 0 {
			stop()
			return errors.Join(err, <-done)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}
