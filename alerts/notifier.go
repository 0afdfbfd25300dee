package alerts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	svix "github.com/svix/svix-webhooks/go"
)

const (
	quiet      = 10 * time.Minute // after an alert, for others of its kind and reason
	againAfter = time.Minute      // before a process asks again that was not first, or whose alert was not taken
	turnWithin = 2 * time.Second
	stopWithin = 300 * time.Millisecond // for what is being sent when the process stops
	waiting    = 64                     // alerts that wait to be sent: more than there are kinds and reasons
)

// Sender sends a body until it is taken or lost.
type Sender interface {
	Send(ctx context.Context, header http.Header, body []byte) error
}

// Turns lets one of several processes do something once in a while.
type Turns interface {
	TakeTurn(ctx context.Context, name string, lasts time.Duration) (bool, error)
	GiveBackTurn(ctx context.Context, name string) error
}

// Options of a Notifier. Sender and Turns are required.
type Options struct {
	Sender     Sender
	Turns      Turns
	Secrets    []string // each signs; none: alerts are not signed
	Log        zerolog.Logger
	Registerer prometheus.Registerer // default: none
	Now        func() time.Time      // time.Now
}

// Notifier sends alerts, one after the other. It is safe for concurrent use.
type Notifier struct {
	o       Options
	signers []*svix.Webhook
	count   *prometheus.CounterVec
	queue   chan told
	stop    context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	closed bool
	topics map[string]*topic
}

// told is an alert on its way, with how many like it were held back before.
type told struct {
	Alert

	held int
}

// topic is what this process knows of a kind and reason.
type topic struct {
	quietUntil time.Time
	held       int // since the last alert that was sent
}

// New starts a notifier. Close ends it.
func New(o Options) (*Notifier, error) {
	if o.Sender == nil || o.Turns == nil {
		return nil, errors.New("alerts: a sender and turns are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	n := &Notifier{o: o, queue: make(chan told, waiting), done: make(chan struct{}), topics: map[string]*topic{}}
	for i, secret := range o.Secrets {
		signer, err := svix.NewWebhook(secret)
		if err != nil {
			return nil, fmt.Errorf("alerts: secret %d of %d is none to sign with", i+1, len(o.Secrets))
		}
		n.signers = append(n.signers, signer)
	}
	n.count = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seamtag_alerts_total", Help: "Alerts by kind and outcome: sent, failed (nobody took it), held (too soon after one like it).",
	}, []string{"kind", "outcome"})
	if o.Registerer != nil {
		if err := o.Registerer.Register(n.count); err != nil {
			return nil, fmt.Errorf("alerts: register metrics: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	go n.run(ctx)
	return n, nil
}

// Notify returns at once. The alert is sent, unless there was one of its kind and reason a short while ago.
func (n *Notifier) Notify(a Alert) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	t := n.topics[a.topic()]
	if t == nil {
		t = &topic{}
		n.topics[a.topic()] = t
	}
	now := n.o.Now()
	if now.Before(t.quietUntil) {
		t.held++
		n.count.WithLabelValues(string(a.Kind), "held").Inc()
		return
	}
	select {
	case n.queue <- told{a, t.held}:
		t.quietUntil, t.held = now.Add(quiet), 0
	default: // the receiver takes nothing, and there are very many reasons
		t.held++
		n.count.WithLabelValues(string(a.Kind), "failed").Inc()
	}
}

// Close sends what waits, for a short while, and ends the notifier.
func (n *Notifier) Close() {
	n.mu.Lock()
	again := n.closed
	n.closed = true
	n.mu.Unlock()
	if !again {
		close(n.queue)
	}
	timer := time.AfterFunc(stopWithin, n.stop)
	defer timer.Stop()
	<-n.done
	n.stop()
}

func (n *Notifier) run(ctx context.Context) {
	defer close(n.done)
	for a := range n.queue {
		n.handle(ctx, a)
	}
}

// handle sends an alert if this process is the first with it.
func (n *Notifier) handle(ctx context.Context, a told) {
	turn := "alert:" + a.topic()
	if !n.mayTell(ctx, turn) {
		n.untold(a, "held")
		return
	}
	if err := n.send(ctx, a); err != nil {
		n.giveBack(ctx, turn)
		n.untold(a, "failed")
		n.o.Log.Error().Str("kind", string(a.Kind)).Str("reason", a.Reason).Err(err).Msg("an alert could not be sent")
		return
	}
	n.count.WithLabelValues(string(a.Kind), "sent").Inc()
}

// mayTell asks the other processes. Where Redis does not answer it says yes: this process alone is quiet enough.
func (n *Notifier) mayTell(ctx context.Context, turn string) bool {
	ctx, cancel := context.WithTimeout(ctx, turnWithin)
	defer cancel()
	first, err := n.o.Turns.TakeTurn(ctx, turn, quiet)
	return first || err != nil
}

// giveBack lets another process, or this one a little later, tell what was not taken.
func (n *Notifier) giveBack(ctx context.Context, turn string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := n.o.Turns.GiveBackTurn(ctx, turn); err != nil {
		n.o.Log.Warn().Err(err).Msg("alerts of other processes are held back for ten minutes")
	}
}

// untold lets the next alert like this one try again soon, and counts this one as held back.
func (n *Notifier) untold(a told, outcome string) {
	n.count.WithLabelValues(string(a.Kind), outcome).Inc()
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.topics[a.topic()]
	t.quietUntil = n.o.Now().Add(againAfter)
	t.held += a.held + 1
}

// send signs and sends an alert. Its id and time stay the same whenever it is tried, so that a receiver knows it again.
func (n *Notifier) send(ctx context.Context, a told) error {
	now := n.o.Now()
	body, err := a.encode(now, a.held)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	id := "msg_" + rand.Text()
	signatures := make([]string, 0, len(n.signers))
	for _, signer := range n.signers {
		signature, err := signer.Sign(id, now, body)
		if err != nil {
			return fmt.Errorf("alerts: sign: %w", err)
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) > 0 {
		header.Set("Webhook-Id", id)
		header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
		header.Set("Webhook-Signature", strings.Join(signatures, " "))
	}
	if err := n.o.Sender.Send(ctx, header, body); err != nil {
		return fmt.Errorf("alerts: %w", err)
	}
	return nil
}
