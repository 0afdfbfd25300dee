package config_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/config"
)

func TestTracingIsOnWhereTheVariablesAskForIt(t *testing.T) {
	for name, tt := range map[string]struct {
		environ []string
		want    *config.Collector
	}{
		"nothing said":         {nil, nil},
		"an endpoint":          {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/"}, &config.Collector{URL: "http://c:4318/v1/traces"}},
		"one for traces":       {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://c/x", "OTEL_EXPORTER_OTLP_ENDPOINT=http://d"}, &config.Collector{URL: "https://c/x"}},
		"an exporter":          {[]string{"OTEL_TRACES_EXPORTER=otlp"}, &config.Collector{URL: "http://localhost:4318/v1/traces"}},
		"no exporter":          {[]string{"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c"}, nil},
		"disabled":             {[]string{"OTEL_SDK_DISABLED=True", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c"}, nil},
		"not disabled":         {[]string{"OTEL_SDK_DISABLED=0", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c"}, &config.Collector{URL: "http://c/v1/traces"}},
		"another program's":    {[]string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, nil},
		"another's, off":       {[]string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=c:4317", "OTEL_SDK_DISABLED=true"}, nil},
		"a protocol we speak":  {[]string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_TRACES_EXPORTER=otlp"}, &config.Collector{URL: "http://localhost:4318/v1/traces"}},
		"headers of traces":    {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=Api-Key=s%20%2C, b=2"}, &config.Collector{URL: "http://localhost:4318/v1/traces", Header: http.Header{"Api-Key": {"s ,"}, "B": {"2"}}}},
		"headers":              {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_HEADERS=a=1"}, &config.Collector{URL: "http://localhost:4318/v1/traces", Header: http.Header{"A": {"1"}}}},
		"compressed, in time":  {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TIMEOUT=1500"}, &config.Collector{URL: "http://localhost:4318/v1/traces", Gzip: true, Timeout: 1500 * time.Millisecond}},
		"traces go first":      {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=none", "OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=2"}, &config.Collector{URL: "http://localhost:4318/v1/traces", Timeout: 2 * time.Millisecond}},
		"files of a TLS setup": {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_CERTIFICATE=ca", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=c", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY=k"}, &config.Collector{URL: "http://localhost:4318/v1/traces", CA: "ca", Cert: "c", CertKey: "k"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := config.Load(tt.environ)
			if err != nil {
				t.Fatal(err)
			}
			got, on := c.Collector()
			if on != (tt.want != nil) {
				t.Fatalf("on: %v", on)
			}
			if !on {
				return
			}
			if tt.want.Header == nil {
				tt.want.Header = http.Header{}
			}
			if diff := cmp.Diff(*tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWrongTracingVariablesAreNamedAndShowNoSecret(t *testing.T) {
	on := "OTEL_TRACES_EXPORTER=otlp"
	for value, want := range map[string]string{
		"OTEL_TRACES_EXPORTER=console":                                    "OTEL_TRACES_EXPORTER: is none of otlp, none",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                                "OTEL_EXPORTER_OTLP_PROTOCOL: is another protocol than http/protobuf",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json":                    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: is another protocol",
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317":                      "OTEL_EXPORTER_OTLP_ENDPOINT: is not an http or https URL without a user",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://u:s3cr3t@collector/v1": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: is not an http or https URL without a user",
		"OTEL_EXPORTER_OTLP_TIMEOUT=10s":                                  `OTEL_EXPORTER_OTLP_TIMEOUT: "10s" is not a number of milliseconds`,
		"OTEL_EXPORTER_OTLP_COMPRESSION=zstd":                             `OTEL_EXPORTER_OTLP_COMPRESSION: "zstd" is none of gzip, none`,
		"OTEL_EXPORTER_OTLP_HEADERS=key=s3cr3t,s3cr3t":                    "OTEL_EXPORTER_OTLP_HEADERS: header 2 is not of the form name=value",
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS=key=s3cr3t%0d%0ax":             "OTEL_EXPORTER_OTLP_TRACES_HEADERS: header 1 is not of the form",
	} {
		environ := []string{on, value}
		if strings.HasPrefix(value, "OTEL_TRACES_EXPORTER") {
			environ = environ[1:]
		}
		_, err := config.Load(environ)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s:\n got %v\nwant %s", value, err, want)
		}
	}
}
