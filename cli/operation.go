package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"seamtag/config"
	"seamtag/metadata"
	"seamtag/queue"
	"seamtag/seam"
)

// operation is a command that works on the queue and on Seam beside the processes that serve.
type operation struct {
	config    config.Config
	queue     *queue.Queue
	seam      *seam.Client
	rules     *ruleSet // its tagger computes as the workers' does
	publisher *queue.Publisher
	closers   []func()
}

// openOperation opens the queue and a client whose calls are of the rate that all processes share.
func openOperation(ctx context.Context, p Process) (*operation, error) {
	c, err := load(p, (*config.Config).RequireSeam)
	if err != nil {
		return nil, err
	}
	o := &operation{config: c}
	if o.queue, err = openQueue(ctx, &c); err != nil {
		return nil, err
	}
	o.closers = append(o.closers, func() { _ = o.queue.Close() })
	if o.seam, err = newSeamClient(&c, queue.NewPace(o.queue, c.SeamRate.PerSecond()), prometheus.NewRegistry()); err != nil {
		o.close()
		return nil, err
	}
	o.closers = append(o.closers, o.seam.Close)
	if o.rules, err = openRules(rulesOptions{config: &c, environ: p.Environ, seam: o.seam}); err != nil {
		o.close()
		return nil, err
	}
	o.publisher = queue.NewPublisher(o.queue)
	o.closers = append(o.closers, o.rules.close, o.publisher.Close)
	return o, nil
}

func (o *operation) close() {
	for _, v := range slices.Backward(o.closers) {
		v()
	}
}

// atOnce is how many messages of a command are on their way to Redis together.
const atOnce = 64

// intake queues what no webhook brought, at a pace that leaves room for what webhooks bring.
type intake struct {
	queue     *queue.Queue
	publisher *queue.Publisher
	pace      *rate.Limiter
}

// newIntake queues at most perSecond messages in a second.
func newIntake(q *queue.Queue, p *queue.Publisher, perSecond float64) *intake {
	return &intake{queue: q, publisher: p, pace: rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))}
}

// unknown leaves out the messages whose event the log has seen.
func (i *intake) unknown(ctx context.Context, messages []queue.Message) ([]queue.Message, error) {
	ids := make([]string, len(messages))
	for n := range messages {
		ids[n] = messages[n].EventID
	}
	known, err := i.queue.KnownEvents(ctx, ids...)
	if err != nil {
		return nil, err
	}
	fresh := make([]queue.Message, 0, len(messages))
	for n, m := range messages {
		if !known[n] {
			fresh = append(fresh, m)
		}
	}
	return fresh, nil
}

// taken says what became of messages: of the rest, it is not known.
type taken struct{ queued, already, failed int }

// queueOnce queues those messages whose event the log has not seen. The error is the first one of those that failed.
func (i *intake) queueOnce(ctx context.Context, messages []queue.Message) (taken, error) {
	fresh, err := i.unknown(ctx, messages)
	if err != nil {
		return taken{}, err
	}
	var mu sync.Mutex
	t := taken{already: len(messages) - len(fresh)}
	group, publishing := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, m := range fresh {
		if i.pace.Wait(publishing) != nil {
			break
		}
		group.Go(func() error {
			receipt, err := i.publisher.PublishOnce(publishing, m)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.failed++
			case receipt.Duplicate:
				t.already++
			default:
				t.queued++
			}
			return err
		})
	}
	err = group.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return t, err
}

// backfilled are the messages of events that Seam lists, of those types. Their ids are their own, so that they are known
// again whatever brought them.
func backfilled(events []seam.Event, types []string, now time.Time) ([]queue.Message, error) {
	messages := make([]queue.Message, 0, len(events))
	for _, ev := range events {
		if !slices.Contains(types, ev.EventType) {
			continue // a server that ignores the filter
		}
		body, err := json.Marshal(ev.Raw)
		if err != nil {
			return nil, fmt.Errorf("encode event %s: %w", ev.EventID, err)
		}
		m := messageOf(ev)
		m.ID, m.Body, m.ReceivedAt = "backfill_"+ev.EventID, body, now
		messages = append(messages, m)
	}
	return messages, nil
}

// check is the message that lets a worker look at an account, although nothing is known to have happened.
func check(eventID string, account seam.Account, now time.Time) (queue.Message, error) {
	workspace, _ := account.Raw["workspace_id"].(string)
	body, err := metadata.CheckEvent(eventID, account.ID, workspace, now)
	if err != nil {
		return queue.Message{}, fmt.Errorf("encode the check of %s: %w", account.ID, err)
	}
	return queue.Message{
		ID: eventID, EventID: eventID, Type: metadata.TypeCheck, Workspace: workspace, Key: account.ID, Body: body, ReceivedAt: now,
	}, nil
}

// readLedger reads what is remembered of an account.
func readLedger(state []byte, account string) (metadata.Ledger, error) {
	ledger, err := metadata.ParseLedger(state)
	if err != nil {
		return metadata.Ledger{}, fmt.Errorf("account %s: %w", account, err)
	}
	return ledger, nil
}

// goOn adds to what ended a long command how to go on, err being nil where it came to its end.
func goOn(err error, command string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted\ngo on with: %s", command)
	}
	return fmt.Errorf("%w\ngo on with: %s", err, command)
}
