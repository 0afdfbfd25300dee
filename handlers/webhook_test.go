package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"seamtag/queue"
)

const event = `{"event_id":"e1","event_type":"connected_account.connected","connected_account_id":"a1"}`

func sign(t testing.TB, body string) []string {
	t.Helper()
	return signed(t, "svix", secret, "msg_1", vectorTime, body)
}

func TestQueuedOnlyAfterThePublisherAccepted(t *testing.T) {
	s := setup(t)
	r := s.post(t, event, sign(t, event)...)
	expect(t, r, 202, `{"status":"queued","id":"17-0"}`)
	want := []queue.Message{{
		ID: "msg_1", EventID: "e1", Type: "connected_account.connected", Key: "a1",
		Body: []byte(event), ReceivedAt: time.Unix(vectorTime, 0),
	}}
	if d := cmp.Diff(want, s.publisher.calls()); d != "" {
		t.Errorf("published (-want +got)\n%s", d)
	}
}

func TestADuplicateNamesTheFirstEntry(t *testing.T) {
	s := setup(t)
	s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) {
		return queue.Receipt{EntryID: "16-3", Duplicate: true}, nil
	}
	expect(t, s.post(t, event, sign(t, event)...), 200, `{"status":"duplicate","id":"16-3"}`)
}

func TestAnUnwantedTypeIsIgnored(t *testing.T) {
	s := setup(t)
	body := `{"event_type":"unwanted"}`
	expect(t, s.post(t, body, sign(t, body)...), 200, `{"status":"ignored"}`)
	if n := len(s.publisher.calls()); n != 0 {
		t.Errorf("published %d times", n)
	}
}

func TestASignedEventThatCannotBeReadIsKept(t *testing.T) {
	for _, body := range []string{"", "not json", "\xff\x00", "[]"} {
		s := setup(t)
		expect(t, s.post(t, body, sign(t, body)...), 202, `{"status":"queued","id":"17-0"}`)
		if got := s.publisher.calls(); len(got) != 1 || string(got[0].Body) != body {
			t.Errorf("published %v", got)
		}
	}
}

func TestNotAcceptedIs503(t *testing.T) {
	s := setup(t)
	s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) {
		return queue.Receipt{}, errors.New("redis: connection refused")
	}
	r := s.post(t, event, sign(t, event)...)
	expect(t, r, 503, `{"error":"not accepted: try again"}`)
	if got := r.Header.Get("Retry-After"); got != "5" {
		t.Errorf("Retry-After is %q", got)
	}
	if log := s.log.String(); !strings.Contains(log, "connection refused") || !strings.Contains(log, `"level":"warn"`) {
		t.Errorf("the log is %s", log)
	}
}

func TestASlowPublisherIsAnsweredInUnderFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := setup(t)
		s.publisher.publish = func(ctx context.Context, _ queue.Message) (queue.Receipt, error) {
			<-ctx.Done()
			return queue.Receipt{}, ctx.Err()
		}
		began := time.Now()
		expect(t, s.post(t, event, sign(t, event)...), 503, `{"error":"not accepted: try again"}`)
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// A publisher that gave up may still be sending the body: the next request must not write over it.
func TestBodyOfAFailedPublishIsNotReused(t *testing.T) {
	s := setup(t)
	var held []byte
	s.publisher.publish = func(_ context.Context, m queue.Message) (queue.Receipt, error) {
		if held == nil {
			held = m.Body
			return queue.Receipt{}, errors.New("slow")
		}
		return queue.Receipt{EntryID: "1-1"}, nil
	}
	s.post(t, event, sign(t, event)...)
	other := strings.Repeat("x", len(event))
	for range 20 {
		s.post(t, other, sign(t, other)...)
	}
	if string(held) != event {
		t.Errorf("the held body became %q", held)
	}
}

func TestBodyLimit(t *testing.T) {
	exact, over, twice := strings.Repeat("x", longestBody), strings.Repeat("x", longestBody+1), strings.Repeat("x", 2*longestBody)
	const tooLarge = `{"error":"body: larger than 1 MiB"}`
	for name, tc := range map[string]struct {
		body    string
		chunked bool
		status  int
		answer  string
	}{
		"1 MiB":                {exact, false, 202, `{"status":"queued","id":"17-0"}`},
		"1 MiB in chunks":      {exact, true, 202, `{"status":"queued","id":"17-0"}`},
		"one more":             {over, false, 413, tooLarge},
		"one more, in chunks":  {over, true, 413, tooLarge},
		"2 MiB":                {twice, false, 413, tooLarge},
		"2 MiB in chunks":      {twice, true, 413, tooLarge},
		"empty":                {"", false, 202, `{"status":"queued","id":"17-0"}`},
		"as large as a buffer": {exact[:keptBody], false, 202, `{"status":"queued","id":"17-0"}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t)
			server := httptest.NewServer(s.handler)
			defer server.Close()
			var body io.Reader = strings.NewReader(tc.body)
			if tc.chunked {
				body = iotest.OneByteReader(bytes.NewReader(nil))
				body = io.MultiReader(body, strings.NewReader(tc.body)) // no length known: chunked
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+WebhookPath, body)
			if err != nil {
				t.Fatal(err)
			}
			for h := sign(t, tc.body); len(h) > 0; h = h[2:] {
				r.Header.Set(h[0], h[1])
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			got, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, got, tc.status, tc.answer)
		})
	}
}

func TestALyingContentLength(t *testing.T) {
	s := setup(t)
	body := strings.Repeat("x", 2*longestBody)
	for _, claimed := range []int64{-1, 0, 10, longestBody} {
		r := httptest.NewRequest(http.MethodPost, WebhookPath, strings.NewReader(body))
		r.ContentLength = claimed
		for h := sign(t, body); len(h) > 0; h = h[2:] {
			r.Header.Set(h[0], h[1])
		}
		expect(t, s.do(r), 413, `{"error":"body: larger than 1 MiB"}`)
	}
	r := httptest.NewRequest(http.MethodPost, WebhookPath, iotest.ErrReader(io.ErrUnexpectedEOF))
	r.Header = http.Header{"Svix-Id": {"m"}, "Svix-Timestamp": {"1"}, "Svix-Signature": {"v1,x"}}
	expect(t, s.do(r), 400, `{"error":"body: not received in full"}`)
	if n := len(s.publisher.calls()); n != 0 {
		t.Errorf("published %d times", n)
	}
}

// Headers are judged before the body is asked for: a body that cannot be read shows it.
func TestBadHeadersDoNotReadTheBody(t *testing.T) {
	s := setup(t)
	r := httptest.NewRequest(http.MethodPost, WebhookPath, iotest.ErrReader(errors.New("read")))
	expect(t, s.do(r), 400, `{"error":"`+errIncomplete.Error()+`"}`)
	r = httptest.NewRequest(http.MethodPost, WebhookPath, iotest.ErrReader(errors.New("read")))
	r.ContentLength = longestBody + 1
	r.Header = http.Header{"Svix-Id": {"m"}, "Svix-Timestamp": {"1"}, "Svix-Signature": {"v1,x"}}
	expect(t, s.do(r), 413, `{"error":"body: larger than 1 MiB"}`)
}

func TestAFloodOfBadSignaturesReachesNobody(t *testing.T) {
	s := setup(t)
	for i := range 200 {
		expect(t, s.post(t, event, signed(t, "svix", otherKey, fmt.Sprint("m", i), vectorTime, event)...),
			401, `{"error":"signature: none matches"}`)
	}
	if n := len(s.publisher.calls()); n != 0 {
		t.Errorf("published %d times", n)
	}
}

func TestOutcomesAreCounted(t *testing.T) {
	s := setup(t)
	at := strconv.Itoa(vectorTime)
	s.post(t, event, sign(t, event)...)
	s.post(t, event)
	s.post(t, event, set("svix", "m", at, "v1,x")...)
	s.post(t, event, set("svix", "m", "1", "v1,x")...)
	s.post(t, strings.Repeat("x", longestBody+1), set("svix", "m", at, "v1,x")...)
	const want = `
# HELP seamtag_webhook_requests_total Webhook requests by what became of them.
# TYPE seamtag_webhook_requests_total counter
seamtag_webhook_requests_total{outcome="bad_body"} 0
seamtag_webhook_requests_total{outcome="bad_headers"} 1
seamtag_webhook_requests_total{outcome="bad_signature"} 1
seamtag_webhook_requests_total{outcome="bad_time"} 1
seamtag_webhook_requests_total{outcome="duplicate"} 0
seamtag_webhook_requests_total{outcome="ignored"} 0
seamtag_webhook_requests_total{outcome="queued"} 1
seamtag_webhook_requests_total{outcome="too_large"} 1
seamtag_webhook_requests_total{outcome="unavailable"} 0
`
	if err := testutil.GatherAndCompare(s.registry, strings.NewReader(want), "seamtag_webhook_requests_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(s.registry, "seamtag_webhook_duration_seconds"); n != 1 || err != nil {
		t.Errorf("%d duration metrics, %v", n, err)
	}
}

func FuzzWebhookHeaders(f *testing.F) {
	at := strconv.Itoa(vectorTime)
	f.Add(vectorID, at, vectorSig, "", "", "", []byte(vectorBody))
	f.Add("", "", "", vectorID, at, vectorSig, []byte(vectorBody))
	f.Add("a", "9223372036854775807", "v1", "b", "-9223372036854775808", "v1,,,", []byte("{"))
	f.Add("\x00", "+1", " v1, v2,", "b", "1e3", ",", []byte{})
	s := setup(f)
	f.Fuzz(func(t *testing.T, id, ts, sig, id2, ts2, sig2 string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, WebhookPath, bytes.NewReader(body))
		r.Header = http.Header{
			"Svix-Id": {id}, "Svix-Timestamp": {ts}, "Svix-Signature": {sig},
			"Webhook-Id": {id2}, "Webhook-Timestamp": {ts2}, "Webhook-Signature": {sig2},
		}
		before := len(s.publisher.calls())
		got := s.do(r)
		_ = got.Body.Close()
		if got.StatusCode >= 500 {
			t.Errorf("status %d", got.StatusCode)
		}
		if calls := s.publisher.calls(); len(calls) > before && calls[before].ID != id && calls[before].ID != id2 {
			t.Errorf("published id %q", calls[before].ID)
		}
	})
}
