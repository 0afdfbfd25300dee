package cli

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

func (s *stack) metric(line string) bool {
	_, text := s.get(s.metrics)
	return strings.Contains(text, line+"\n")
}

func TestTheGapCheckQueuesWhatNoWebhookBrought(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	s.stop()
	view := s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}})
	lost := func(n int, at time.Time) sandbox.Occurrence {
		o := s.seam.Connect(view, sandbox.AccountID(accountNumber(n)), sandbox.At(at))
		s.seam.SetMetadata(accountNumber(n), seam.Metadata{})
		return o
	}
	for n := range 3 {
		lost(n, time.Now().Add(-30*time.Minute))
	}
	s.seam.Fail(sandbox.Fault{Endpoint: "/events/list", Status: http.StatusForbidden, Type: "forbidden", Times: 1}) // the next turn does it
	s.start("SEAMTAG_GAP_CHECK=20ms")
	for n := range 3 {
		s.await("what was lost is tagged", func() bool { return s.metadata(accountNumber(n))["user_id"] == "u1" })
	}
	s.await("the gap is counted", func() bool { return s.metric("seamtag_gap_events_total 3") })
	lost(3, time.Now())
	s.await("one more", func() bool { return s.metric("seamtag_gap_events_total 4") })
	var last queue.GapCheck
	s.await("a check that found nothing", func() bool {
		var err error
		if last, _, err = s.app.queue.LastGapCheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		return last.Queued == 0 && last.Found == 4
	})
	if last.At.IsZero() || !last.Since.Before(last.Until) {
		t.Errorf("the last check: %+v", last)
	}
	if n := strings.Count(s.log.String(), "no webhook brought them"); n != 2 {
		t.Errorf("warned %d times of two gaps", n)
	}
	if !strings.Contains(s.log.String(), "look for events that no webhook brought") {
		t.Error("the check that failed was not logged")
	}
}

// TestOneOfSeveralProcessesChecksForGaps: the second sees that the turn is taken and asks Seam nothing.
func TestOneOfSeveralProcessesChecksForGaps(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	gap := func() *gapCheck {
		counter, err := newGapCounter(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		client, err := newSeamClient(s.app.config, nil, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return &gapCheck{
			every: time.Hour, queue: s.app.queue, seam: client, intake: newIntake(s.app.queue, s.app.publisher, 1000),
			types: s.app.rules.events, gaps: counter, missed: func(int) {}, log: zerolog.Nop(),
		}
	}
	for range 3 {
		if err := gap().turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.seam.Calls("/events/list"); n != 1 {
		t.Errorf("%d calls, want that of the first", n)
	}
}

func TestTheGapCheckIsOffWithZero(t *testing.T) {
	s := newStack(t, sandbox.Replace, "SEAMTAG_GAP_CHECK=0")
	if s.app.gap != nil {
		t.Error("it runs")
	}
	if s.stop(); s.seam.Calls("/events/list") != 0 {
		t.Error("it asked")
	}
}

func TestRewritesAreCounted(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"user_id": "u1"}}))
	account := o.Event.ConnectedAccountID
	s.seam.SetMetadata(account, seam.Metadata{})
	times := 0
	s.seam.OnUpdate(func(id string) {
		if times++; times == 1 {
			s.seam.SetMetadata(id, seam.Metadata{"theirs": "x"}) // another writer, who has not seen ours
		}
	})
	if e := s.ended(s.deliver(o)); e.Status != queue.Tagged {
		t.Errorf("ended %s", e.Status)
	}
	if md := fmt.Sprint(s.metadata(account)); md != "map[theirs:x user_id:u1]" {
		t.Errorf("in the end %s", md)
	}
	s.await("the rewrite is counted", func() bool { return s.metric("seamtag_rewrites_total 1") })
}
