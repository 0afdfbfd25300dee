package config

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Tracing are OpenTelemetry's own variables for the way to a collector; those for traces go before the general ones. The SDK
// reads the others itself: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_… and the span limits.
type Tracing struct {
	OTLPEndpoint          string      `doc:"where traces go, OTLP over HTTP; off without it" env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	OTLPTracesEndpoint    string      `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	OTLPProtocol          string      `env:"OTEL_EXPORTER_OTLP_PROTOCOL"`
	OTLPTracesProtocol    string      `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"`
	OTLPHeaders           Headers     `env:"OTEL_EXPORTER_OTLP_HEADERS"`
	OTLPTracesHeaders     Headers     `env:"OTEL_EXPORTER_OTLP_TRACES_HEADERS"`
	OTLPTimeout           Millis      `env:"OTEL_EXPORTER_OTLP_TIMEOUT"`
	OTLPTracesTimeout     Millis      `env:"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"`
	OTLPCompression       Compression `env:"OTEL_EXPORTER_OTLP_COMPRESSION"`
	OTLPTracesCompression Compression `env:"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"`
	OTLPCA                string      `env:"OTEL_EXPORTER_OTLP_CERTIFICATE"`
	OTLPTracesCA          string      `env:"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"`
	OTLPCert              string      `env:"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"`
	OTLPTracesCert        string      `env:"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE"`
	OTLPKey               string      `env:"OTEL_EXPORTER_OTLP_CLIENT_KEY"`
	OTLPTracesKey         string      `env:"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"`
	TracesExporter        string      `env:"OTEL_TRACES_EXPORTER"`
	SDKDisabled           string      `env:"OTEL_SDK_DISABLED"`
}

// Collector is where traces go and how.
type Collector struct {
	URL               string
	Header            http.Header
	Timeout           time.Duration // of one try; zero where nothing is said
	Gzip              bool
	CA, Cert, CertKey string // PEM files; empty where nothing is said
}

const (
	notSpoken     = "is another protocol than http/protobuf, which is the one spoken here (a collector takes it at port 4318)"
	notAnEndpoint = "is not an http or https URL without a user, such as http://localhost:4318"
)

// asked says whether the variables ask for traces.
func (t *Tracing) asked() bool {
	if strings.EqualFold(t.SDKDisabled, "true") || t.TracesExporter == "none" {
		return false
	}
	return t.TracesExporter != "" || t.OTLPEndpoint != "" || t.OTLPTracesEndpoint != ""
}

// Collector answers where traces go; false where tracing is not asked for.
func (t *Tracing) Collector() (Collector, bool) {
	if !t.asked() {
		return Collector{}, false
	}
	c := Collector{
		URL:     t.OTLPTracesEndpoint,
		Header:  http.Header{},
		Timeout: time.Duration(cmp.Or(t.OTLPTracesTimeout, t.OTLPTimeout)),
		Gzip:    cmp.Or(t.OTLPTracesCompression, t.OTLPCompression) == "gzip",
		CA:      cmp.Or(t.OTLPTracesCA, t.OTLPCA),
		Cert:    cmp.Or(t.OTLPTracesCert, t.OTLPCert),
		CertKey: cmp.Or(t.OTLPTracesKey, t.OTLPKey),
	}
	if c.URL == "" {
		c.URL = strings.TrimRight(cmp.Or(t.OTLPEndpoint, "http://localhost:4318"), "/") + "/v1/traces"
	}
	headers := t.OTLPTracesHeaders
	if headers == nil {
		headers = t.OTLPHeaders
	}
	for name, value := range headers {
		c.Header.Set(name, value.Reveal())
	}
	return c, true
}

// check answers what is wrong, where traces are asked for: an environment shared with other programs stops none that has no use
// for it.
func (t *Tracing) check() []error {
	if !t.asked() {
		return nil
	}
	var errs []error
	refuse := func(name, value, problem string, fine func(string) bool) {
		if value != "" && !fine(value) {
			errs = append(errs, &Error{name, problem})
		}
	}
	isOTLP := func(v string) bool { return v == "otlp" }
	isSpoken := func(v string) bool { return v == "http/protobuf" }
	refuse("OTEL_TRACES_EXPORTER", t.TracesExporter, "is none of otlp, none", isOTLP)
	refuse("OTEL_EXPORTER_OTLP_PROTOCOL", t.OTLPProtocol, notSpoken, isSpoken)
	refuse("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", t.OTLPTracesProtocol, notSpoken, isSpoken)
	refuse("OTEL_EXPORTER_OTLP_ENDPOINT", t.OTLPEndpoint, notAnEndpoint, isPlainURL)
	refuse("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", t.OTLPTracesEndpoint, notAnEndpoint, isPlainURL)
	return errs
}

// isPlainURL says whether text is an http or https URL that holds no user or password.
func isPlainURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil
}

// Compression is that of what is exported.
type Compression string

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Compression) UnmarshalText(text []byte) (err error) {
	*c, err = oneOf[Compression](text, "gzip", "none")
	return err
}

// Millis is a time written as a number of milliseconds.
type Millis time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Millis) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil || n == 0 {
		return invalid("%q is not a number of milliseconds of at least 1", text)
	}
	*m = Millis(time.Duration(n) * time.Millisecond)
	return nil
}

// Headers are HTTP headers, their values secret: a collector's key is among them.
type Headers map[string]Secret

// UnmarshalText reads name=value pairs, separated by commas, the values percent-encoded.
func (h *Headers) UnmarshalText(text []byte) error {
	*h = Headers{}
	for i, pair := range strings.Split(string(text), ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		name = strings.TrimSpace(name)
		plain, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || !isHeader(name, plain) {
			return invalid("header %d is not of the form name=value, with the value percent-encoded", i+1)
		}
		(*h)[name] = Secret(plain)
	}
	return nil
}

// isHeader says whether a header of that name and value can be sent.
func isHeader(name, value string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }
	return name != "" && !strings.ContainsFunc(name, odd) && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
}
