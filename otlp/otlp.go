// Package otlp sends spans to a collector: OTLP over HTTP with protobuf bodies. It is the client beneath OpenTelemetry's own
// exporter; otlptracehttp, which does the same, links all of gRPC for one message type (docs/decisions/0007).
package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Sender sends one body until it is taken or lost.
type Sender interface {
	Send(ctx context.Context, header http.Header, body []byte) error
	Close()
}

// Client implements otlptrace.Client.
type Client struct {
	Sender Sender
	Gzip   bool // compress the bodies
}

// Start has nothing to start: connections are made when spans are sent.
func (c *Client) Start(context.Context) error { return nil }

// Stop gives back idle connections.
func (c *Client) Stop(context.Context) error {
	c.Sender.Close()
	return nil
}

// UploadTraces sends one batch. TracesData has the wire form of the protocol's ExportTraceServiceRequest.
func (c *Client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("otlp: encode spans: %w", err)
	}
	header := http.Header{"Content-Type": {"application/x-protobuf"}}
	if c.Gzip {
		body = compressed(body)
		header["Content-Encoding"] = []string{"gzip"}
	}
	if err := c.Sender.Send(ctx, header, body); err != nil {
		return fmt.Errorf("otlp: send spans: %w", err)
	}
	return nil
}

func compressed(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
