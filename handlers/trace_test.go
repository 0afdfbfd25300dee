package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"seamtag/queue"
)

func setupTraced(t *testing.T) (*stand, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	return setup(t, func(o *Options) { o.Webhook.Tracer = provider.Tracer("test") }), spans
}

// A forger can send any trace header, and one that says "sampled" on each of a million requests.
func TestATraceHeaderOfTheRequestIsNotFollowed(t *testing.T) {
	s, spans := setupTraced(t)
	foreign := "0af7651916cd43dd8448eb211c80319c"
	s.post(t, event, append(sign(t, event), "traceparent", "00-"+foreign+"-b7ad6b7169203331-01")...)
	got := spans.GetSpans()
	if len(got) != 2 {
		t.Fatalf("%d spans", len(got))
	}
	publish, webhook := got[0], got[1]
	id := webhook.SpanContext.TraceID()
	if id.String() == foreign || webhook.Parent.IsValid() || webhook.SpanKind != trace.SpanKindServer {
		t.Errorf("webhook %+v", webhook)
	}
	if publish.Parent.SpanID() != webhook.SpanContext.SpanID() || publish.SpanKind != trace.SpanKindProducer {
		t.Errorf("publish %+v", publish)
	}
	want := "00-" + id.String() + "-" + publish.SpanContext.SpanID().String() + "-"
	if carried := s.publisher.calls()[0].Trace; !strings.HasPrefix(carried, want) {
		t.Errorf("the message carries %q, want %q", carried, want)
	}
	if logged := s.log.lines(t)[0]["trace_id"]; logged != id.String() {
		t.Errorf("logged %v, want %s", logged, id)
	}
}

func TestWhatIsRefusedIsASpanAlone(t *testing.T) {
	s, spans := setupTraced(t)
	s.post(t, event+" ", sign(t, event)...)
	if got := spans.GetSpans(); len(got) != 1 || got[0].Status.Code != codes.Unset {
		t.Errorf("a forgery: %+v", got)
	}
	spans.Reset()
	s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) {
		return queue.Receipt{}, errors.New("away: s3cr3t")
	}
	s.post(t, event, sign(t, event)...)
	got := spans.GetSpans()
	if len(got) != 2 || got[0].Status.Code != codes.Error || got[1].Status.Code != codes.Error || got[0].Status.Description != unavailable {
		t.Errorf("redis away: %+v", got)
	}
}

func TestAPanicEndsItsSpans(t *testing.T) {
	s, spans := setupTraced(t)
	s.publisher.publish = func(context.Context, queue.Message) (queue.Receipt, error) { panic("oops") }
	r := httptest.NewRequest(http.MethodPost, WebhookPath, strings.NewReader(event))
	for h := sign(t, event); len(h) > 0; h = h[2:] {
		r.Header.Set(h[0], h[1])
	}
	s.do(r)
	if got := spans.GetSpans(); len(got) != 2 {
		t.Errorf("%d spans", len(got))
	}
}
