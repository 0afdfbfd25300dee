package handlers

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"seamtag/queue"
)

// startWebhook begins the trace of an event. A trace header of the request is not followed: anybody can send one, long before
// the signature is looked at.
func (w *webhook) startWebhook(ctx context.Context, v *visit) (context.Context, trace.Span) {
	if w.tracer == nil {
		return ctx, off()
	}
	ctx, span := w.tracer.Start(ctx, http.MethodPost+" "+WebhookPath, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", http.MethodPost), attribute.String("http.route", WebhookPath)))
	v.traceID = span.SpanContext().TraceID().String()
	return ctx, span
}

func noteWebhook(span trace.Span, got verdict) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.Int("http.response.status_code", got.status), attribute.String("seamtag.outcome", got.outcome))
	if got.status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, got.outcome)
	}
}

// startPublish begins the span that the work on the message continues: its place in the trace goes with the message.
func (w *webhook) startPublish(ctx context.Context, m *queue.Message) (context.Context, trace.Span) {
	if w.tracer == nil {
		return ctx, off()
	}
	ctx, span := w.tracer.Start(ctx, "publish", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		attribute.String("seamtag.event_id", m.EventID), attribute.String("seamtag.account_id", m.Key)))
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	m.Trace = carrier["traceparent"]
	return ctx, span
}

func notePublish(span trace.Span, receipt queue.Receipt, err error) {
	if !span.IsRecording() {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, unavailable)
	} else {
		span.SetAttributes(attribute.String("seamtag.entry_id", receipt.EntryID), attribute.Bool("seamtag.duplicate", receipt.Duplicate))
	}
}

// off is the span of what is not traced: it does nothing and costs nothing.
func off() trace.Span { return trace.SpanFromContext(context.Background()) }
