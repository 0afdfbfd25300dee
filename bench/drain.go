package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	drained       = 50_000
	pollingFaster = 2 // of systems: polls while there is nothing to do, which a drain never is
)

// drain times how long a backlog takes.
func drain(ctx context.Context, s settings, r *report) error {
	redis, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer redis.close()
	figures := rounds{}
	for range s.rounds {
		for i, one := range systems() {
			if i == pollingFaster {
				continue
			}
			if err := drainTurn(ctx, redis, one, figures); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
		}
	}
	r.drain(figures)
	return nil
}

func drainTurn(ctx context.Context, redis *store, one system, figures rounds) error {
	if err := redis.empty(ctx); err != nil {
		return err
	}
	if err := fill(ctx, one, redis.address, drained); err != nil {
		return err
	}
	storeBefore, before, err := spent(ctx, redis.process, redis)
	if err != nil {
		return err
	}
	p, err := startConsumer(ctx, one, redis.address, drained)
	if err != nil {
		return err
	}
	result, err := p.result()
	if err != nil {
		return err
	}
	storeAfter, after, err := spent(ctx, redis.process, redis)
	if err != nil {
		return err
	}
	figures.add(one.name, "messages/s", drained/result.Seconds)
	figures.add(one.name, "cpu", result.CPU)
	figures.add(one.name, "redis cpu", (storeAfter-storeBefore).Seconds()*1e6/drained)
	figures.add(one.name, "commands", (after-before)/drained)
	return nil
}

// fill puts so many messages in, 64 at once.
func fill(ctx context.Context, one system, address string, count int) error {
	p, err := one.produce(address)
	if err != nil {
		return err
	}
	defer p.close()
	var next atomic.Int64
	var running sync.WaitGroup
	errs := make([]error, 64)
	for i := range errs {
		running.Go(func() {
			for n := next.Add(1); n <= int64(count) && errs[i] == nil; n = next.Add(1) {
				errs[i] = p.send(ctx, strconv.FormatInt(n, 10), stamped())
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// startConsumer starts a peer that works off so many messages, and waits until it is about to begin.
func startConsumer(ctx context.Context, one system, address string, count int) (*process, error) {
	p, err := startPeer(ctx, one.peer, address, strconv.Itoa(count))
	if err != nil {
		return nil, err
	}
	line, err := p.stdout.ReadString('\n')
	if err != nil || line != ready+"\n" {
		return nil, fmt.Errorf("%s did not start: %w", one.name, err)
	}
	return p, nil
}

// result waits for the end of a consuming peer.
func (p *process) result() (consumed, error) {
	var c consumed
	if err := json.NewDecoder(p.stdout).Decode(&c); err != nil {
		return c, fmt.Errorf("read the result: %w", errors.Join(err, p.wait()))
	}
	return c, p.wait()
}

const (
	perSecond = 200
	paced     = 700 // messages a turn; the first tenth is not counted
)

// latency times how long a message waits for a worker that has nothing else to do.
func latency(ctx context.Context, s settings, r *report) error {
	redis, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer redis.close()
	figures := rounds{}
	for range s.rounds {
		for _, one := range systems() {
			if err := latencyTurn(ctx, redis, one, figures); err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
		}
	}
	r.latency(figures)
	return nil
}

func latencyTurn(ctx context.Context, redis *store, one system, figures rounds) error {
	if err := redis.empty(ctx); err != nil {
		return err
	}
	consumer, err := startConsumer(ctx, one, redis.address, paced)
	if err != nil {
		return err
	}
	p, err := one.produce(redis.address)
	if err != nil {
		return err
	}
	defer p.close()
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for n := range paced {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := p.send(ctx, strconv.Itoa(n), stamped()); err != nil {
			return err
		}
	}
	result, err := consumer.result()
	if err != nil {
		return err
	}
	figures.add(one.name, "p50", result.P50)
	figures.add(one.name, "p99", result.P99)
	return nil
}
