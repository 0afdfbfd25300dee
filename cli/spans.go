package cli

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"seamtag/metadata/lookup"
	"seamtag/queue"
)

// traced makes a span of each attempt, beneath the publish that brought the message. A message that came without a trace, such
// as one of a backfill, begins one.
func traced(tracer trace.Tracer, next queue.Handler) queue.Handler {
	if tracer == nil {
		return next
	}
	return func(ctx context.Context, d *queue.Delivery) (queue.Outcome, error) {
		ctx, span := tracer.Start(placeOf(ctx, d.Trace), "process", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("seamtag.entry_id", d.EntryID), attribute.String("seamtag.event_id", d.EventID),
			attribute.String("seamtag.account_id", d.Key), attribute.Int("seamtag.attempt", d.Attempt),
		))
		defer span.End()
		if d.Trace == "" {
			carrier := propagation.MapCarrier{}
			propagation.TraceContext{}.Inject(ctx, carrier)
			d.Trace = carrier["traceparent"] // for the log of how it ended
		}
		outcome, err := next(ctx, d)
		if err != nil {
			span.SetAttributes(attribute.String("seamtag.reason", queue.ReasonOf(err)))
			span.SetStatus(codes.Error, queue.ReasonOf(err))
			return outcome, err
		}
		span.SetAttributes(attribute.String("seamtag.status", string(outcome.Status)), attribute.String("seamtag.reason", outcome.Reason))
		return outcome, nil
	}
}

// placeOf continues the trace that a message carries.
func placeOf(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// traceIDOf is the id of the trace that a message carries, empty where it carries none.
func traceIDOf(traceparent string) string {
	if traceparent == "" {
		return ""
	}
	if place := trace.SpanContextFromContext(placeOf(context.Background(), traceparent)); place.IsValid() {
		return place.TraceID().String()
	}
	return ""
}

// spanOfSeamCall makes the span of a call to Seam once it is over, where its caller is traced. Status 0 is no answer. Seam is
// not told of the trace.
func spanOfSeamCall(ctx context.Context, endpoint string, status int, took time.Duration) {
	caller := trace.SpanFromContext(ctx)
	if !caller.IsRecording() {
		return
	}
	span := startedBefore(ctx, caller, "seam "+endpoint, took)
	span.SetAttributes(attribute.String("http.request.method", http.MethodPost), attribute.String("url.path", endpoint))
	if status > 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", status))
	}
	if status < 200 || status > 299 {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// spanOfLookup makes the span of a lookup that has answered, where its caller is traced. It shows neither what was asked for nor
// what was found.
func spanOfLookup(ctx context.Context, name string, answer lookup.Answer, err error, took time.Duration) {
	caller := trace.SpanFromContext(ctx)
	if !caller.IsRecording() {
		return
	}
	span := startedBefore(ctx, caller, "lookup "+name, took)
	if err != nil {
		span.SetStatus(codes.Error, "")
	} else {
		span.SetAttributes(attribute.Bool("seamtag.missing", answer.Missing), attribute.Bool("seamtag.cached", answer.Cached))
	}
	span.End()
}

// startedBefore begins the span of a call that took so long and is over.
func startedBefore(ctx context.Context, caller trace.Span, name string, took time.Duration) trace.Span {
	_, span := caller.TracerProvider().Tracer(tracerName).Start(ctx, name,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(time.Now().Add(-took)))
	return span
}
