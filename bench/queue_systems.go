package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"seamtag/queue"
)

const (
	workers = 16 // at once: seamtag's default, and asynq's here
	topic   = "events"
)

// system is a queue: how to put a message in, and how to work messages off.
type system struct {
	name    string
	peer    string // as startPeer knows it
	produce func(address string) (producer, error)
	consume func(ctx context.Context, address string, w work) error // until ctx ends
}

type producer struct {
	send  func(ctx context.Context, id string, body []byte) error
	close func()
}

// work is told when a message starts and when it has ended.
type work struct {
	started func(body []byte)
	ended   func()
}

func systems() []system {
	return []system{
		{ours, "consume-seamtag", produceOurs, consumeOurs},
		{"asynq", "consume-asynq", produceAsynq, consumeAsynq(time.Second)},
		{"asynq, polling every 10 ms", "consume-asynq-10ms", produceAsynq, consumeAsynq(10 * time.Millisecond)},
		{"watermill, ten subscribers", "consume-watermill", produceWatermill, consumeWatermill},
	}
}

func produceOurs(address string) (producer, error) {
	q, err := queue.Open(queue.Options{URL: "redis://" + address + "/0"})
	if err != nil {
		return producer{}, err
	}
	p := queue.NewPublisher(q)
	return producer{
		send: func(ctx context.Context, id string, body []byte) error {
			_, err := p.Publish(ctx, queue.Message{
				ID: id, EventID: "event-" + id, Type: "connected_account.connected", Workspace: "workspace", Key: "account-" + id,
				Webview: "webview-" + id, Body: body, ReceivedAt: time.Now(),
			})
			return err
		},
		close: func() { p.Close(); _ = q.Close() },
	}, nil
}

// consumeOurs keeps all the books: lock, lease, record, history, result, state, indexes.
func consumeOurs(ctx context.Context, address string, w work) error {
	q, err := queue.Open(queue.Options{URL: "redis://" + address + "/0"})
	if err != nil {
		return err
	}
	defer q.Close()
	result := []byte(`{"set":{"internal_account_id":"user-4711","plan":"gold"},"sources":{"internal_account_id":"copy","plan":"copy"}}`)
	state := []byte(`{"owned":["internal_account_id","plan"],"snapshot":{"internal_account_id":"user-4711","plan":"gold"},"first":"w","latest":"w"}`)
	c, err := queue.NewConsumer(q, queue.ConsumerOptions{
		Concurrency: workers,
		Handler: func(_ context.Context, d *queue.Delivery) (queue.Outcome, error) {
			w.started(d.Body)
			return queue.Outcome{Status: queue.Tagged, Result: result, State: state}, nil
		},
		Observer: queue.Observer{Settled: func(queue.Settlement) { w.ended() }},
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

func produceAsynq(address string) (producer, error) {
	c := asynq.NewClient(asynq.RedisClientOpt{Addr: address, PoolSize: 64})
	return producer{
		send: func(ctx context.Context, id string, body []byte) error {
			_, err := c.EnqueueContext(ctx, asynq.NewTask(topic, body), asynq.TaskID(id))
			return err
		},
		close: func() { _ = c.Close() },
	}, nil
}

func consumeAsynq(poll time.Duration) func(context.Context, string, work) error {
	return func(ctx context.Context, address string, w work) error {
		s := asynq.NewServer(asynq.RedisClientOpt{Addr: address}, asynq.Config{
			Concurrency: workers, TaskCheckInterval: poll, LogLevel: asynq.FatalLevel,
		})
		err := s.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
			w.started(t.Payload())
			w.ended()
			return nil
		}))
		if err != nil {
			return fmt.Errorf("asynq: %w", err)
		}
		<-ctx.Done()
		s.Shutdown()
		return nil
	}
}

func produceWatermill(address string) (producer, error) {
	rdb := redis.NewClient(&redis.Options{Addr: address, PoolSize: 64})
	p, err := redisstream.NewPublisher(redisstream.PublisherConfig{Client: rdb}, nil)
	if err != nil {
		return producer{}, fmt.Errorf("watermill: %w", err)
	}
	return producer{
		send: func(_ context.Context, id string, body []byte) error {
			return p.Publish(topic, message.NewMessage(id, body))
		},
		close: func() { _ = rdb.Close() },
	}, nil
}

// consumeWatermill runs ten subscribers of one group: each works on one message at a time.
func consumeWatermill(ctx context.Context, address string, w work) error {
	rdb := redis.NewClient(&redis.Options{Addr: address, PoolSize: 32})
	defer rdb.Close()
	var running sync.WaitGroup
	for range 10 {
		s, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{Client: rdb, ConsumerGroup: "workers"}, nil)
		if err != nil {
			return fmt.Errorf("watermill: %w", err)
		}
		messages, err := s.Subscribe(ctx, topic)
		if err != nil {
			return fmt.Errorf("watermill: %w", err)
		}
		running.Go(func() {
			for m := range messages {
				w.started(m.Payload)
				m.Ack()
				w.ended()
			}
		})
	}
	<-ctx.Done()
	_ = rdb.Close() // its first read blocks for ever
	running.Wait()
	return nil
}
