package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"seamtag/config"
	"seamtag/internal/post"
	"seamtag/otlp"
	"seamtag/queue"
)

const (
	tracerName          = "seamtag"
	tracesFlushedWithin = 500 * time.Millisecond // when stopping: what a collector does not take by then is lost
)

// startTracing answers the tracer that the OTEL_ variables ask for, nil where they ask for none, and what sends the
// last spans and ends it.
func startTracing(ctx context.Context, c *config.Config, role Role, log zerolog.Logger) (trace.Tracer, func(), error) {
	collector, on := c.Collector()
	if !on {
		return nil, func() {}, nil
	}
	provider, err := newTraceProvider(ctx, collector, role)
	if err != nil {
		return nil, nil, err
	}
	// OpenTelemetry reports by a handler of the whole process. A collector that is away would fill the log.
	seldom := log.Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Minute})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { seldom.Warn().Err(err).Msg("tracing") }))
	closeTracing := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesFlushedWithin)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn().Err(err).Msg("send the last traces")
		}
	}
	return provider.Tracer(tracerName), closeTracing, nil
}

// newTraceProvider puts OpenTelemetry's parts together. They read the variables that config does not from the environment
// themselves.
func newTraceProvider(ctx context.Context, c config.Collector, role Role) (*sdktrace.TracerProvider, error) {
	transport, err := collectorTransport(c)
	if err != nil {
		return nil, usage(err)
	}
	sender, err := post.New(post.Options{
		URL: c.URL, Header: c.Header, Timeout: c.Timeout, Transport: transport,
		Schedule: queue.ExponentialSchedule{First: 500 * time.Millisecond, Max: 5 * time.Second},
	})
	if err != nil {
		return nil, usage(&config.Error{Variable: "OTEL_EXPORTER_OTLP_ENDPOINT", Problem: err.Error()})
	}
	exporter, err := otlptrace.New(ctx, &otlp.Client{Sender: sender, Gzip: c.Gzip})
	if err != nil {
		return nil, fmt.Errorf("start tracing: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "seamtag"), attribute.String("service.version", thisBuild().Version),
		attribute.String("seamtag.role", string(role)),
	), resource.WithFromEnv())
	if err != nil {
		return nil, usage(&config.Error{Variable: "OTEL_RESOURCE_ATTRIBUTES", Problem: err.Error()})
	}
	return sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

// collectorTransport trusts and shows the certificates that the variables name.
func collectorTransport(c config.Collector) (http.RoundTripper, error) {
	def, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("the program's HTTP transport was replaced")
	}
	t := def.Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, &config.Error{Variable: "OTEL_EXPORTER_OTLP_CERTIFICATE", Problem: err.Error()}
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &config.Error{Variable: "OTEL_EXPORTER_OTLP_CERTIFICATE", Problem: "holds no PEM certificate"}
		}
	}
	if c.Cert != "" || c.CertKey != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.CertKey)
		if err != nil {
			return nil, &config.Error{Variable: "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and …_CLIENT_KEY", Problem: err.Error()}
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
