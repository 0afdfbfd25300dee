package main

import (
	"context"
	"fmt"
	"time"
)

// The systems that receive, as the report names them.
const (
	hello       = "Echo hello"
	handwritten = "Echo + svix + SET NX + XADD"
	ours        = "seamtag"
)

// loads are the connections, and the requests of one turn.
var loads = []struct{ connections, requests int }{{1, 6_000}, {64, 40_000}}

// receiver starts what answers at an address and keeps what it gets in the Redis at another.
type receiver struct {
	name  string
	start func(ctx context.Context, s settings, address, redis string) (*process, error)
}

func receivers() []receiver {
	peer := func(name string) func(context.Context, settings, string, string) (*process, error) {
		return func(ctx context.Context, _ settings, address, redis string) (*process, error) {
			return startPeer(ctx, name, address, redis)
		}
	}
	return []receiver{{hello, peer("hello")}, {handwritten, peer("handwritten")}, {ours, startWeb}}
}

// startWeb runs seamtag as it is shipped, its log line a request included.
func startWeb(ctx context.Context, s settings, address, redis string) (*process, error) {
	return startSeamtag(ctx, s, "web", address, redis)
}

func startSeamtag(ctx context.Context, s settings, role, address, redis string, env ...string) (*process, error) {
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	env = append([]string{
		"SEAM_WEBHOOK_SECRET=" + secret, "SEAM_API_KEY=" + apiKey, "REDIS_URL=redis://" + redis + "/0",
		"PORT=" + portOf(address), "METRICS_PORT=" + portOf(metrics),
	}, env...)
	return start(ctx, coreMeasured, env, s.binary, "serve", "--role", role)
}

func ingress(ctx context.Context, s settings, r *report) error {
	redis, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer redis.close()
	figures := map[int]rounds{}
	for _, l := range loads {
		figures[l.connections] = rounds{}
	}
	for range s.rounds {
		for _, l := range loads {
			for _, who := range receivers() {
				if err := ingressTurn(ctx, s, redis, who, l.connections, l.requests, figures[l.connections]); err != nil {
					return fmt.Errorf("%s: %w", who.name, err)
				}
			}
		}
	}
	r.ingress(figures)
	return nil
}

// ingressTurn measures one receiver, warm.
func ingressTurn(ctx context.Context, s settings, redis *store, who receiver, connections, count int, figures rounds) error {
	if err := redis.empty(ctx); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	p, err := who.start(ctx, s, address, redis.address)
	if err != nil {
		return err
	}
	if err := awaitPort(ctx, address); err != nil {
		return err
	}
	requests, err := signed(events(count + count/10))
	if err != nil {
		return err
	}
	if _, err := load(address, connections, requests[count:]); err != nil {
		return err
	}
	storeBefore, err := redis.process.cpu()
	if err != nil {
		return err
	}
	before, callsBefore, err := spent(ctx, p, redis)
	if err != nil {
		return err
	}
	result, err := load(address, connections, requests[:count])
	if err != nil {
		return err
	}
	after, callsAfter, err := spent(ctx, p, redis)
	if err != nil {
		return err
	}
	storeAfter, err := redis.process.cpu()
	if err != nil {
		return err
	}
	peak, err := p.memory("VmHWM")
	if err != nil {
		return err
	}
	n := float64(count)
	figures.add(who.name, "requests/s", result.perSecond)
	figures.add(who.name, "p50", result.p50)
	figures.add(who.name, "p99", result.p99)
	figures.add(who.name, "cpu", (after-before).Seconds()*1e6/n)
	figures.add(who.name, "commands", (callsAfter-callsBefore)/n)
	figures.add(who.name, "redis cpu", (storeAfter-storeBefore).Seconds()*1e6/n)
	figures.add(who.name, "memory", peak)
	return p.stop()
}

func spent(ctx context.Context, p *process, redis *store) (cpu time.Duration, calls float64, err error) {
	if cpu, err = p.cpu(); err != nil {
		return 0, 0, err
	}
	calls, err = redis.calls(ctx)
	return cpu, calls, err
}
