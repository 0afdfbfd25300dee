package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"seamtag/seam/sandbox"
)

const (
	secret  = "whsec_plJ3nmyCDGBKInavdOK15jsl" // Svix's published example
	apiKey  = sandbox.DefaultAPIKey
	resend  = time.Second // Svix waits 5 s at first; the drill is impatient
	giveUp  = 3 * time.Minute
	twice   = 5 // every fifth account has two events
	repeats = 7 // every seventh message is delivered a second time
)

// message is one that the load delivers until it is accepted.
type message struct {
	id       string
	account  account
	entry    string
	asked    time.Time // when the attempt that was accepted began
	accepted time.Time // zero until then
}

// load delivers signed events, as Svix does through a platform's proxy: to any web process that takes the connection.
type load struct {
	t      *testing.T
	seam   *seamProcess
	client *http.Client

	stop    context.CancelFunc // of new messages
	ctx     context.Context
	running sync.WaitGroup

	mu        sync.Mutex
	webs      []*process
	next      int
	messages  []*message
	refused   int
	wrong     []string        // answers that should not be
	rewritten map[string]bool // accounts that another system wrote to
	slowest   time.Duration
}

func newLoad(t *testing.T, s *seamProcess) *load {
	t.Helper()
	l := &load{t: t, seam: s, client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	l.ctx, l.rewritten = t.Context(), map[string]bool{}
	t.Cleanup(l.client.CloseIdleConnections)
	return l
}

// start sends perSecond accounts' events a second until stop.
func (l *load) start(perSecond int) {
	ctx, cancel := context.WithCancel(l.ctx)
	l.stop = cancel
	l.running.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		var ready []account
		for n := 1; ; n++ {
			if len(ready) == 0 {
				ready = ask[[]account](l.seam, "connect", 100)
			}
			l.send(n, ready[0])
			ready = ready[1:]
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// send delivers an account's events.
func (l *load) send(n int, a account) {
	events := 1
	if n%twice == 0 {
		events = 2
	}
	for range events {
		m := &message{id: sandbox.NewMessageID(), account: a}
		l.mu.Lock()
		l.messages = append(l.messages, m)
		l.mu.Unlock()
		l.running.Go(func() {
			l.deliver(m)
			if n%repeats == 0 {
				l.deliver(m)
			}
		})
	}
}

// deliver tries until the message is accepted.
func (l *load) deliver(m *message) {
	for deadline := time.Now().Add(giveUp); time.Now().Before(deadline) && l.ctx.Err() == nil; {
		if l.attempt(m) {
			return
		}
		select {
		case <-time.After(resend):
		case <-l.ctx.Done():
		}
	}
}

// attempt posts to one web process after the other until one takes the connection.
func (l *load) attempt(m *message) bool {
	asked := time.Now()
	for _, web := range l.order() {
		sender := sandbox.Sender{URL: web.url + "/webhooks/seam", Secrets: []string{secret}, Client: l.client}
		status, body, err := sender.Send(l.ctx, m.id, m.account.Body)
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			continue
		}
		return l.note(m, asked, status, body, err)
	}
	return l.note(m, asked, 0, nil, errors.New("no web process takes connections"))
}

func (l *load) order() []*process {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	order := make([]*process, 0, len(l.webs))
	for i := range l.webs {
		order = append(order, l.webs[(l.next+i)%len(l.webs)])
	}
	return order
}

// note keeps what was answered and says whether the message is accepted.
func (l *load) note(m *message, asked time.Time, status int, body []byte, err error) bool {
	now := time.Now()
	var reply struct{ Status, ID, Error string }
	_ = json.Unmarshal(body, &reply)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.slowest = max(l.slowest, now.Sub(asked))
	}
	switch {
	case err != nil || status == http.StatusServiceUnavailable:
		l.refused++
		return false
	case status != http.StatusAccepted && status != http.StatusOK, reply.ID == "":
		l.wrong = append(l.wrong, fmt.Sprintf("%d %s", status, body))
		return false
	case m.entry != "" && (reply.ID != m.entry || reply.Status != "duplicate"):
		l.wrong = append(l.wrong, fmt.Sprintf("a repetition of %s (entry %s) was answered %d %s", m.id, m.entry, status, body))
	case m.entry == "":
		m.entry, m.asked, m.accepted = reply.ID, asked, now
	}
	return true
}

// use makes these the web processes.
func (l *load) use(webs ...*process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.webs = slices.Clone(webs)
}

// finish ends the load and waits until everything sent is accepted, or given up.
func (l *load) finish() {
	l.stop()
	l.running.Wait()
}

// acceptedBefore are the messages accepted before a time.
func (l *load) acceptedBefore(at time.Time) []*message {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*message
	for _, m := range l.messages {
		if !m.accepted.IsZero() && m.accepted.Before(at) {
			list = append(list, m)
		}
	}
	return list
}

// acceptedAgain is how long after a time the first attempt began that was accepted.
func (l *load) acceptedAgain(at time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := time.Duration(-1)
	for _, m := range l.messages {
		if m.asked.After(at) && (first < 0 || m.accepted.Sub(at) < first) {
			first = m.accepted.Sub(at)
		}
	}
	return first
}

// rewrite lets another system change its key of the messages' accounts.
func (l *load) rewrite(messages []*message) {
	ids := accountsOf(messages)
	l.mu.Lock()
	for _, id := range ids {
		l.rewritten[id] = true
	}
	l.mu.Unlock()
	ask[int](l.seam, "write", ids)
}

func (l *load) isRewritten(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rewritten[id]
}
