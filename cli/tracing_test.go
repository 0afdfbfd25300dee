package cli

import (
	"cmp"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"seamtag/queue"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

// collector is an OTLP receiver.
type collector struct {
	*httptest.Server

	mu       sync.Mutex
	status   int // what it answers; 0 is 200
	header   http.Header
	received []*tracepb.ResourceSpans
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	bytes, err := io.ReadAll(body)
	var data tracepb.TracesData
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(bytes, &data) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.header = r.Header
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	c.received = append(c.received, data.GetResourceSpans()...)
}

func (c *collector) spans() []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*tracepb.Span
	for _, r := range c.received {
		for _, s := range r.GetScopeSpans() {
			all = append(all, s.GetSpans()...)
		}
	}
	slices.SortFunc(all, func(a, b *tracepb.Span) int { return cmp.Compare(a.GetStartTimeUnixNano(), b.GetStartTimeUnixNano()) })
	return all
}

// text is everything that was received.
func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, r := range c.received {
		b.WriteString(prototext.Format(r))
	}
	return b.String()
}

// paths are the spans with the names of those above them, sorted.
func paths(spans []*tracepb.Span) []string {
	byID := map[string]*tracepb.Span{}
	for _, s := range spans {
		byID[string(s.GetSpanId())] = s
	}
	var all []string
	for _, s := range spans {
		path := s.GetName()
		for len(s.GetParentSpanId()) > 0 {
			parent, ok := byID[string(s.GetParentSpanId())]
			if !ok {
				path = "? > " + path
				break
			}
			path = parent.GetName() + " > " + path
			s = parent
		}
		all = append(all, path)
	}
	slices.Sort(all)
	return all
}

func attributes(s *tracepb.Span) map[string]string {
	all := map[string]string{}
	for _, a := range s.GetAttributes() {
		switch v := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[a.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		case *commonpb.AnyValue_BoolValue:
			all[a.GetKey()] = strconv.FormatBool(v.BoolValue)
		}
	}
	return all
}

func named(t *testing.T, spans []*tracepb.Span, name string) *tracepb.Span {
	t.Helper()
	for _, s := range spans {
		if s.GetName() == name {
			return s
		}
	}
	t.Fatalf("no span %s", name)
	return nil
}

// traceIDs are those of the log lines that hold the text.
func (s *stack) traceIDs(text string) []string {
	s.t.Helper()
	var ids []string
	for line := range strings.Lines(s.log.String()) {
		if !strings.Contains(line, text) {
			continue
		}
		var fields struct {
			TraceID string `json:"trace_id"`
		}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, fields.TraceID)
	}
	return ids
}

func TestOneTraceLeadsFromTheWebhookToEveryCallOfSeam(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "tagger")
	c := newCollector(t)
	s := newStack(t, sandbox.Replace, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_HEADERS=api-key=s3cr3t")
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{"mail": "jane@example.com", "note": "v4lue"}}))
	s.seam.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{"site": "h1dden"})
	s.seam.ResetCalls()
	a := s.post("msg_1", o.Body)
	if e := s.ended(a.ID); e.Status != queue.Tagged {
		t.Fatalf("ended %s", e.Status)
	}
	s.stop()

	spans := c.spans()
	want := []string{"POST /webhooks/seam", "POST /webhooks/seam > publish", "POST /webhooks/seam > publish > process"}
	for _, endpoint := range []string{"/connect_webviews/get", "/connected_accounts/get", "/connected_accounts/get", "/connected_accounts/update"} {
		want = append(want, "POST /webhooks/seam > publish > process > seam "+endpoint)
	}
	if diff := gocmp.Diff(want, paths(spans)); diff != "" || s.seam.Calls("") != 4 {
		t.Errorf("spans (-want +got), with %d calls of Seam:\n%s", s.seam.Calls(""), diff)
	}
	id := hex.EncodeToString(spans[0].GetTraceId())
	for _, span := range spans {
		if got := hex.EncodeToString(span.GetTraceId()); got != id {
			t.Errorf("%s is in trace %s, want %s", span.GetName(), got, id)
		}
	}
	for _, line := range []string{`"message":"request"`, `"message":"event ended"`} {
		if diff := gocmp.Diff([]string{id}, s.traceIDs(line)); diff != "" {
			t.Errorf("trace_id of the line %s (-want +got):\n%s", line, diff)
		}
	}
	for name, attrs := range map[string]map[string]string{
		"POST /webhooks/seam": {
			"http.request.method": "POST", "http.route": "/webhooks/seam", "http.response.status_code": "202", "seamtag.outcome": "queued",
		},
		"publish": {
			"seamtag.event_id": o.Event.EventID, "seamtag.account_id": o.Event.ConnectedAccountID, "seamtag.entry_id": a.ID, "seamtag.duplicate": "false",
		},
		"process": {
			"seamtag.event_id": o.Event.EventID, "seamtag.account_id": o.Event.ConnectedAccountID, "seamtag.entry_id": a.ID,
			"seamtag.attempt": "1", "seamtag.status": "tagged", "seamtag.reason": "",
		},
		"seam /connected_accounts/update": {
			"http.request.method": "POST", "url.path": "/connected_accounts/update", "http.response.status_code": "200",
		},
	} {
		if diff := gocmp.Diff(attrs, attributes(named(t, spans, name))); diff != "" {
			t.Errorf("attributes of %s (-want +got):\n%s", name, diff)
		}
	}
	text := c.text()
	if !strings.Contains(text, `"tagger"`) || c.header.Get("Api-Key") != "s3cr3t" {
		t.Errorf("the service's name or the header of the variables is not there: %v", c.header)
	}
	for _, secret := range []string{"jane@", "v4lue", "h1dden", "s3cr3t", s.seam.APIKey(), testSecret, s.redis.Addr()} {
		if strings.Contains(text, secret) || strings.Contains(s.log.String(), secret) {
			t.Errorf("the traces or the log show %s", secret)
		}
	}
}

func TestEveryAttemptIsASpanOfTheSameTrace(t *testing.T) {
	c := newCollector(t)
	s := newStack(t, sandbox.Replace, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}))
	s.seam.Fail(sandbox.Fault{Status: http.StatusInternalServerError, Times: 1})
	s.ended(s.deliver(o))
	s.stop()
	spans := c.spans()
	attempts := slices.DeleteFunc(slices.Clone(spans), func(s *tracepb.Span) bool { return s.GetName() != "process" })
	if len(attempts) != 2 {
		t.Fatalf("%d attempts: %v", len(attempts), paths(spans))
	}
	publish := named(t, spans, "publish")
	for i, code := range []tracepb.Status_StatusCode{tracepb.Status_STATUS_CODE_ERROR, tracepb.Status_STATUS_CODE_UNSET} {
		if !slices.Equal(attempts[i].GetParentSpanId(), publish.GetSpanId()) || attempts[i].GetStatus().GetCode() != code {
			t.Errorf("attempt %d: %v", i+1, attempts[i])
		}
	}
	if reason := attributes(attempts[0])["seamtag.reason"]; reason != "seam_unavailable" {
		t.Errorf("the first attempt's reason is %s", reason)
	}
	failed := slices.IndexFunc(spans, func(s *tracepb.Span) bool { return attributes(s)["http.response.status_code"] == "500" })
	if failed < 0 || spans[failed].GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("the refused call is not seen as an error: %v", paths(spans))
	}
}

func TestEveryLookupIsASpanThatShowsNoValue(t *testing.T) {
	crm := newJSONService(t, map[string]string{"/users/us3r": `{"plan": "g0ld", "org": "0rg"}`})
	c := newCollector(t)
	s := newRulesStack(t, `
version: 1
lookups:
  user: {http: {url: "${CRM}/users/{origin.custom_metadata.user_id}"}}
  org: {http: {url: "${CRM}/orgs/{user.org}"}, missing: empty}
tags: {plan: user.plan, region: 'org.region ?? "none"'}
`, "CRM="+crm.URL, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	o := s.connect(seam.Metadata{"user_id": "us3r"}, "")
	for _, want := range []queue.Status{queue.Tagged, queue.Unchanged} {
		if e := s.ended(s.deliver(o)); e.Status != want {
			t.Fatalf("ended %s %s, want %s", e.Status, e.Error, want)
		}
	}
	s.stop()
	var got []string
	for _, span := range c.spans() {
		if a := attributes(span); strings.HasPrefix(span.GetName(), "lookup ") {
			got = append(got, fmt.Sprintf("%s missing %s cached %s", span.GetName(), a["seamtag.missing"], a["seamtag.cached"]))
		}
	}
	want := []string{
		"lookup user missing false cached false", "lookup org missing true cached false",
		"lookup user missing false cached true", "lookup org missing true cached true",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("lookups (-want +got):\n%s", diff)
	}
	if n := strings.Count(strings.Join(paths(c.spans()), "\n"), "POST /webhooks/seam > publish > process > lookup "); n != 4 {
		t.Errorf("%d lookups are beneath their attempt:\n%s", n, strings.Join(paths(c.spans()), "\n"))
	}
	for _, value := range []string{"us3r", "g0ld", "0rg", crm.URL} {
		if strings.Contains(c.text(), value) {
			t.Errorf("the traces show %s", value)
		}
	}
}

func TestALookupThatFailsIsAnError(t *testing.T) {
	c := newCollector(t)
	s := newRulesStack(t, "version: 1\nlookups: {user: {http: {url: \"http://127.0.0.1:1/{account.customer_key}\"}, retries: 0}}\ntags: {plan: user.plan}\n",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	id := s.deliver(s.connect(nil, "c1"))
	s.await("an attempt fails", func() bool {
		e, err := s.app.queue.Entry(t.Context(), id)
		return err == nil && e.Status == queue.Retrying
	})
	s.stop()
	if span := named(t, c.spans(), "lookup user"); span.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("span %v", span)
	}
}

func TestAMessageWithoutATraceBeginsOne(t *testing.T) {
	c := newCollector(t)
	s := newStack(t, sandbox.Replace, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	o := s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}))
	m := messageOf(o.Event)
	m.ID, m.Body = "backfilled", o.Body
	r, err := s.app.publisher.Publish(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	s.ended(r.EntryID)
	s.stop()
	process := named(t, c.spans(), "process")
	if diff := gocmp.Diff([]string{hex.EncodeToString(process.GetTraceId())}, s.traceIDs(`"message":"event ended"`)); diff != "" || len(process.GetParentSpanId()) > 0 {
		t.Errorf("parent %x, trace_id (-want +got):\n%s", process.GetParentSpanId(), diff)
	}
}

func TestTheSamplerIsHeeded(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	c := newCollector(t)
	s := newStack(t, sandbox.Replace, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)
	s.ended(s.deliver(s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}))))
	s.stop()
	if spans := c.spans(); len(spans) > 0 {
		t.Errorf("%d spans were sent", len(spans))
	}
}

func TestWithoutTheVariablesNothingIsTraced(t *testing.T) {
	s := newStack(t, sandbox.Replace)
	e := s.ended(s.deliver(s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{}))))
	if e.Trace != "" || strings.Contains(s.log.String(), "trace_id") {
		t.Errorf("trace %q, log:\n%s", e.Trace, s.log)
	}
}

func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	c := newCollector(t)
	c.status = http.StatusForbidden
	s := newStack(t, sandbox.Replace, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_EXPORTER_OTLP_HEADERS=api-key=s3cr3t")
	for range 20 {
		if e := s.ended(s.deliver(s.seam.Connect(s.seam.AddWebview(sandbox.WebviewSpec{})))); e.Status != queue.Unchanged {
			t.Fatalf("ended %s", e.Status)
		}
	}
	s.await("the trouble is said", func() bool { return strings.Contains(s.log.String(), "answered 403") })
	s.stop()
	if n := strings.Count(s.log.String(), `"message":"tracing"`); n != 1 || strings.Contains(s.log.String(), "s3cr3t") || strings.Contains(s.log.String(), c.URL) {
		t.Errorf("said %d times, want once and without secrets:\n%s", n, s.log)
	}
}
