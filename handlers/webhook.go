package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"seamtag/queue"
)

const (
	longestBody  = 1 << 20  // bytes
	keptBody     = 64 << 10 // a larger buffer is not kept for the next request, nor made on a Content-Length's word
	longestDrain = 4 << 20  // bytes of a refused body that are read and thrown away
	retryAfter   = "5"      // seconds
	publishLimit = 4 * time.Second
)

// Publisher accepts a message for good, or says that it did not. It returns soon after ctx ends.
type Publisher interface {
	Publish(ctx context.Context, m queue.Message) (queue.Receipt, error)
}

// WebhookOptions say whom to believe and where messages go.
type WebhookOptions struct {
	// Secrets are whsec_… or base64, each at least 16 bytes decoded; a signature by any of them counts.
	Secrets []string
	// Publisher gets every message that is verified and wanted. After a success it must not hold on to the body.
	Publisher Publisher
	// Describe fills EventID, Type, Workspace, Key and Webview from a verified body, in strings of their own. Of a body
	// it cannot read it says wanted and nothing else: a vendor's event is kept, not thrown away.
	Describe func(body []byte) (m queue.Message, wanted bool)
	// PublishTimeout bounds Publish, so that the answer comes in under 5 s. Default: 4 s.
	PublishTimeout time.Duration
	// Tracer makes the spans of a webhook. Default: none are made.
	Tracer trace.Tracer
	// Now is the clock that timestamps are compared with. Default: time.Now.
	Now func() time.Time
}

type webhook struct {
	verifier  *Verifier
	publisher Publisher
	describe  func([]byte) (queue.Message, bool)
	timeout   time.Duration
	now       func() time.Time
	tracer    trace.Tracer // nil = off
	metrics   *metrics
	bodies    sync.Pool
}

func newWebhook(o WebhookOptions, r prometheus.Registerer) (*webhook, error) {
	if o.Publisher == nil || o.Describe == nil {
		return nil, errors.New("handlers: the webhook needs a publisher and a describe function")
	}
	if o.PublishTimeout == 0 {
		o.PublishTimeout = publishLimit
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	verifier, err := NewVerifier(o.Secrets)
	if err != nil {
		return nil, fmt.Errorf("handlers: %w", err)
	}
	m, err := newMetrics(r)
	if err != nil {
		return nil, err
	}
	return &webhook{
		verifier: verifier, publisher: o.Publisher, describe: o.Describe, timeout: o.PublishTimeout, now: o.Now,
		tracer: o.Tracer, metrics: m, bodies: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}, nil
}

// verdict is what became of a request: the metric's outcome and the answer.
type verdict struct {
	outcome string
	status  int
	entryID string // of queued and duplicate
	problem string // of errors
}

// accepted is the body of an answer that is no error.
type accepted struct {
	Status string `json:"status"`
	ID     string `json:"id,omitempty"`
}

// receive answers POST /webhooks/seam.
func (w *webhook) receive(c echo.Context) error {
	began := time.Now()
	v := visitOf(c)
	ctx, span := w.startWebhook(c.Request().Context(), v)
	defer span.End()
	got := w.judge(ctx, c.Request(), v)
	noteWebhook(span, got)
	v.outcome, v.entryID = got.outcome, got.entryID
	defer func() { w.metrics.observe(got.outcome, time.Since(began)) }()
	if got.problem == "" {
		return c.JSON(got.status, accepted{Status: got.outcome, ID: got.entryID})
	}
	if got.status == http.StatusServiceUnavailable {
		c.Response().Header().Set("Retry-After", retryAfter)
	}
	return c.JSON(got.status, problem{got.problem})
}

// judge goes from the cheap questions to the dear ones: headers, then the body, then its signature, then Redis.
func (w *webhook) judge(ctx context.Context, r *http.Request, v *visit) verdict {
	sets, n, err := envelopes(r.Header)
	if err != nil {
		return verdict{outcome: badHeaders, status: http.StatusBadRequest, problem: err.Error()}
	}
	body := w.bodies.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	if bad, ok := read(r, body); !ok {
		w.keep(body)
		return bad
	}
	id, err := w.verifier.verify(sets[:n], body.Bytes(), w.now())
	if err != nil {
		w.keep(body)
		outcome := badSignature
		if errors.Is(err, errTime) {
			outcome = badTime
		}
		return verdict{outcome: outcome, status: http.StatusUnauthorized, problem: err.Error()}
	}
	v.messageID = id
	m, wanted := w.describe(body.Bytes())
	if !wanted {
		w.keep(body)
		return verdict{outcome: ignored, status: http.StatusOK}
	}
	m.ID, m.Body, m.ReceivedAt = id, body.Bytes(), w.now()
	return w.publish(ctx, m, v, body)
}

func (w *webhook) publish(ctx context.Context, m queue.Message, v *visit, body *bytes.Buffer) verdict {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	ctx, span := w.startPublish(ctx, &m)
	defer span.End()
	receipt, err := w.publisher.Publish(ctx, m)
	notePublish(span, receipt, err)
	if err != nil {
		// The body is left to the garbage collector: a publisher that gave up waiting may still be sending it.
		v.err = err
		return verdict{outcome: unavailable, status: http.StatusServiceUnavailable, problem: "not accepted: try again"}
	}
	w.keep(body)
	if receipt.Duplicate {
		return verdict{outcome: duplicate, status: http.StatusOK, entryID: receipt.EntryID}
	}
	return verdict{outcome: queued, status: http.StatusAccepted, entryID: receipt.EntryID}
}

// keep gives a buffer to the next request.
func (w *webhook) keep(body *bytes.Buffer) {
	if body.Cap() > keptBody {
		return
	}
	body.Reset()
	w.bodies.Put(body)
}

// read takes the body up to the limit, whatever Content-Length says.
func read(r *http.Request, into *bytes.Buffer) (verdict, bool) {
	large := verdict{
		outcome: tooLarge, status: http.StatusRequestEntityTooLarge, problem: "body: larger than 1 MiB",
	}
	if r.ContentLength > longestBody {
		drain(r)
		return large, false
	}
	if r.ContentLength > 0 {
		into.Grow(min(int(r.ContentLength), keptBody-bytes.MinRead) + bytes.MinRead)
	}
	if _, err := into.ReadFrom(io.LimitReader(r.Body, longestBody+1)); err != nil {
		return verdict{outcome: badBody, status: http.StatusBadRequest, problem: "body: not received in full"}, false
	}
	if into.Len() > longestBody {
		drain(r)
		return large, false
	}
	return verdict{}, true
}

// drain takes some of what is too large off the wire: a sender who is cut off while writing sees a reset connection and
// not the 413. One that waits for a 100 Continue has sent nothing yet, and is not told to.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, longestDrain) // whatever came of it, the answer is the same
	}
}
