package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"seamtag/otlp"
)

// sender keeps the last body and answers with err.
type sender struct {
	header http.Header
	body   []byte
	err    error
	closed bool
}

func (s *sender) Send(_ context.Context, header http.Header, body []byte) error {
	s.header, s.body = header, body
	return s.err
}

func (s *sender) Close() { s.closed = true }

var (
	_ otlp.Sender      = (*sender)(nil)
	_ otlptrace.Client = (*otlp.Client)(nil)
)

func TestSpansAreSentAsTheyAre(t *testing.T) {
	want := []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "one"}, {Name: "two"}}}}}}
	for name, compress := range map[string]bool{"plain": false, "gzip": true} {
		t.Run(name, func(t *testing.T) {
			s := &sender{}
			c := &otlp.Client{Sender: s, Gzip: compress}
			if err := errors.Join(c.Start(t.Context()), c.UploadTraces(t.Context(), want), c.Stop(t.Context())); err != nil {
				t.Fatal(err)
			}
			body := s.body
			if (s.header.Get("Content-Encoding") == "gzip") != compress || s.header.Get("Content-Type") != "application/x-protobuf" || !s.closed {
				t.Errorf("header %v, closed %v", s.header, s.closed)
			}
			if compress {
				r, err := gzip.NewReader(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
			}
			var got tracepb.TracesData
			if err := proto.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.GetResourceSpans(), protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestALostBatchIsSaid(t *testing.T) {
	away := errors.New("after 4 tries: answered 503")
	err := (&otlp.Client{Sender: &sender{err: away}}).UploadTraces(t.Context(), nil)
	if !errors.Is(err, away) || err.Error() != "otlp: send spans: after 4 tries: answered 503" {
		t.Errorf("error %v", err)
	}
}
