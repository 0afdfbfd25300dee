package handlers

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"seamtag/queue"
)

// noop accepts everything at once.
type noop struct{}

func (noop) Publish(context.Context, queue.Message) (queue.Receipt, error) {
	return queue.Receipt{EntryID: "1795444800000-0"}, nil
}

// blank is a response writer that costs nothing itself.
type blank struct{ header http.Header }

func (b *blank) Header() http.Header         { return b.header }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
func (b *blank) WriteHeader(int)             {}

// BenchmarkWebhook is the door alone: verified, described by nobody, accepted by nobody, logged to nowhere.
func BenchmarkWebhook(b *testing.B) {
	body := `{"event_type":"connected_account.connected","pad":"` + strings.Repeat("x", 600) + `"}`
	s := setup(b, func(o *Options) {
		o.Webhook.Publisher = noop{}
		o.Webhook.Describe = func([]byte) (queue.Message, bool) { return queue.Message{}, true }
		o.Log = zerolog.New(io.Discard)
	})
	r := httptest.NewRequest(http.MethodPost, WebhookPath, nil)
	for h := sign(b, body); len(h) > 0; h = h[2:] {
		r.Header.Set(h[0], h[1])
	}
	reader := strings.NewReader(body)
	r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
	w := &blank{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		s.handler.ServeHTTP(w, r)
	}
}

// BenchmarkEchoHello is what the framework costs by itself, to compare with.
func BenchmarkEchoHello(b *testing.B) {
	e := echo.New()
	e.POST("/", func(c echo.Context) error { return c.JSON(http.StatusOK, accepted{Status: "hello"}) })
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	w := &blank{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		e.ServeHTTP(w, r)
	}
}
