package lookup_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/metadata/lookup"
)

// crm starts a server and a source that asks it.
func crm(t *testing.T, handler http.HandlerFunc, options lookup.HTTPOptions, path string) *lookup.HTTP {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	options.URL = parse(t, server.URL+path)
	return newHTTP(t, options)
}

func newHTTP(t *testing.T, options lookup.HTTPOptions) *lookup.HTTP {
	t.Helper()
	source, err := lookup.NewHTTP(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return source
}

func TestHTTPAsksWhatTheRuleSays(t *testing.T) {
	var seen *http.Request
	var body []byte
	source := crm(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"data":{"items":[{"id":12345678901234567890,"vip":true}]}}`)
	}, lookup.HTTPOptions{
		Method:  http.MethodPost,
		Headers: map[string]lookup.Template{"x-b": parse(t, "b{two}"), "x-a": parse(t, "a{one}")},
		Body:    parse(t, `{{"id": {id}}}`),
		At:      "data.items.0",
		Bearer:  "t0ken",
	}, "/c/{c}?q={q}&fixed=1")

	if diff := cmp.Diff([]string{"c", "q", "one", "two", "id"}, source.Expressions()); diff != "" {
		t.Errorf("order of the expressions (-want +got)\n%s", diff)
	}
	got, err := source.Ask(t.Context(), []any{"7/8", "x&y", int64(1), int64(2), "é"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"id": json.Number("12345678901234567890"), "vip": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got)\n%s", diff)
	}
	if seen.Method != http.MethodPost || seen.RequestURI != "/c/7%2F8?q=x%26y&fixed=1" || string(body) != `{"id": "é"}` {
		t.Errorf("asked %s %s with %s", seen.Method, seen.RequestURI, body)
	}
	for name, want := range map[string]string{
		"X-A": "a1", "X-B": "b2", "Authorization": "Bearer t0ken", "Accept": "application/json", "Content-Type": "application/json",
	} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
}

func TestHTTPBasic(t *testing.T) {
	source := crm(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		_ = json.NewEncoder(w).Encode(user + "|" + password)
	}, lookup.HTTPOptions{Basic: lookup.Basic{User: "u", Password: "p:w"}}, "/")
	if got, err := source.Ask(t.Context(), nil); err != nil || got != "u|p:w" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestHTTPAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		status  int
		body    string
		header  string
		at      string
		want    any
		missing bool
		kind    lookup.Kind
		text    string
		after   time.Duration
	}{
		"object":           {status: 200, body: `{"a":null}`, want: map[string]any{"a": nil}},
		"list":             {status: 201, body: `[1]`, want: []any{json.Number("1")}},
		"not found":        {status: 404, body: `{"secret":1}`, missing: true},
		"no content":       {status: 204, missing: true},
		"empty":            {status: 200, body: " \n", missing: true},
		"null":             {status: 200, body: "null", missing: true},
		"part":             {status: 200, body: `{"a":[{"b":"x"}]}`, at: "a.0.b", want: "x"},
		"part not there":   {status: 200, body: `{"a":[]}`, at: "a.0.b", missing: true},
		"part null":        {status: 200, body: `{"a":null}`, at: "a", missing: true},
		"part of a scalar": {status: 200, body: `7`, at: "a", missing: true},
		"not JSON":         {status: 200, body: `<html>secret`, kind: lookup.Permanent, text: "an answer that is not JSON from HOST"},
		"two values":       {status: 200, body: `{} {}`, kind: lookup.Permanent, text: "an answer that is not JSON from HOST"},
		"too long":         {status: 200, body: strings.Repeat("7", 100), kind: lookup.Permanent, text: "an answer over 64 bytes from HOST"},
		"forbidden":        {status: 403, body: "secret", kind: lookup.Permanent, text: "403 from HOST"},
		"busy":             {status: 429, header: "7", kind: lookup.Unavailable, text: "429 from HOST", after: 7 * time.Second},
		"down": {
			status: 503, header: "Mon, 23 Nov 2026 09:00:30 GMT", kind: lookup.Unavailable, text: "503 from HOST", after: 30 * time.Second,
		},
		"down for good": {status: 502, header: "secret", kind: lookup.Unavailable, text: "502 from HOST"},
	} {
		t.Run(name, func(t *testing.T) {
			var host string
			source := crm(t, func(w http.ResponseWriter, r *http.Request) {
				host = r.Host
				if tc.header != "" {
					w.Header().Set("Retry-After", tc.header)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}, lookup.HTTPOptions{
				At: tc.at, MaxBody: 64,
				Now: func() time.Time { return time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC) },
			}, "/c/{x}")

			got, err := source.Ask(t.Context(), []any{"secret"})
			switch {
			case tc.missing:
				if !errors.Is(err, lookup.ErrMissing) {
					t.Errorf("got %v, %v; want missing", got, err)
				}
			case tc.text != "":
				want := &lookup.Error{System: "http", Kind: tc.kind, Detail: strings.ReplaceAll(tc.text, "HOST", host), RetryAfter: tc.after}
				if diff := cmp.Diff(error(want), err); diff != "" {
					t.Errorf("error (-want +got)\n%s", diff)
				}
			default:
				if err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("answer (-want +got)\n%s", diff)
				}
			}
		})
	}
}

func TestHTTPHostileValues(t *testing.T) {
	for name, value := range hostile() {
		t.Run(name, func(t *testing.T) {
			asked := 0
			source := crm(t, func(w http.ResponseWriter, r *http.Request) {
				asked++
				path := strings.Split(strings.SplitN(r.RequestURI, "?", 2)[0], "/")
				if len(path) != 4 || path[1] != "c" || path[3] != "d" {
					t.Errorf("path %.100s", r.RequestURI)
				}
				query, err := url.ParseQuery(r.URL.RawQuery)
				if diff := cmp.Diff(url.Values{"id": {value}, "fixed": {"1"}}, query); err != nil || diff != "" {
					t.Errorf("query %v (-want +got)\n%s", err, diff)
				}
				_, _ = io.WriteString(w, `{}`)
			}, lookup.HTTPOptions{}, "/c/{x}/d?id={x}&fixed=1")
			_, err := source.Ask(t.Context(), []any{value, value})
			checkHostileResult(t, err, asked, value, name == "long")
		})
	}
}

func TestHTTPHostileHeaders(t *testing.T) {
	for name, value := range hostile() {
		t.Run(name, func(t *testing.T) {
			asked := 0
			source := crm(t, func(w http.ResponseWriter, r *http.Request) {
				asked++
				want := http.Header{
					"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"seamtag"}, "X-Id": {"id " + value},
				}
				if diff := cmp.Diff(want, r.Header); diff != "" {
					t.Errorf("headers (-want +got)\n%s", diff)
				}
				_, _ = io.WriteString(w, `{}`)
			}, lookup.HTTPOptions{Headers: map[string]lookup.Template{"x-id": parse(t, "id {x}")}}, "/")
			_, err := source.Ask(t.Context(), []any{value})
			checkHostileResult(t, err, asked, value, name == "long" || name == "line break" || name == "null byte")
		})
	}
}

// checkHostileResult wants a value to be sent as it is, or refused without a word of it.
func checkHostileResult(t *testing.T, err error, asked int, value string, wantRefused bool) {
	t.Helper()
	if !wantRefused {
		if err != nil || asked != 1 {
			t.Errorf("asked %d times: %.200v", asked, err)
		}
		return
	}
	refused, ok := errors.AsType[*lookup.Error](err)
	if !ok || asked != 0 || refused.Transient() || strings.Contains(err.Error(), value) {
		t.Errorf("asked %d times, want a permanent error without the value, got %.200v", asked, err)
	}
}

func TestHTTPEmptySegmentIsMissing(t *testing.T) {
	source := crm(t, func(http.ResponseWriter, *http.Request) { t.Error("asked for the list of all") }, lookup.HTTPOptions{}, "/c/{x}")
	if _, err := source.Ask(t.Context(), []any{""}); !errors.Is(err, lookup.ErrMissing) {
		t.Errorf("got %v, want missing", err)
	}
}

func TestHTTPRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") }))
	defer other.Close()
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/other":
			http.Redirect(w, r, other.URL+"/secret", http.StatusFound)
		case "/near":
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
		case "/end":
			_, _ = io.WriteString(w, `"end"`)
		default:
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	}
	for path, tc := range map[string]struct {
		method string
		want   any
	}{
		"/near":    {http.MethodGet, "end"},
		"/other":   {http.MethodGet, nil},
		"/loop":    {http.MethodGet, nil},
		"/near?":   {http.MethodPost, nil},
		"/near?x=": {http.MethodGet, "end"},
	} {
		t.Run(tc.method+path, func(t *testing.T) {
			got, err := crm(t, handler, lookup.HTTPOptions{Method: tc.method}, path).Ask(t.Context(), nil)
			if got != tc.want || (tc.want == nil) != (err != nil) {
				t.Errorf("got %v, %v; want %v", got, err, tc.want)
			}
			if err != nil && (lookup.IsTransient(err) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHTTPConnectionFaults(t *testing.T) {
	gone := httptest.NewServer(nil)
	target := parse(t, gone.URL+"/{x}")
	gone.Close()
	hung := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	defer slow.Close()
	defer close(hung)
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	for name, tc := range map[string]struct {
		url  lookup.Template
		kind lookup.Kind
	}{
		"refused": {target, lookup.Transport},
		"slow":    {parse(t, slow.URL+"/{x}"), lookup.Timeout},
		"cut":     {parse(t, cut.URL+"/{x}"), lookup.Transport},
		"no name": {parse(t, "http://nowhere.invalid/{x}"), lookup.Transport},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if name != "slow" {
				ctx = t.Context()
			}
			_, err := newHTTP(t, lookup.HTTPOptions{URL: tc.url}).Ask(ctx, []any{"secret"})
			got, ok := errors.AsType[*lookup.Error](err)
			if !ok || got.Kind != tc.kind || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want kind %d", err, tc.kind)
			}
		})
	}
}

func TestHTTPTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `1`) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // a refused certificate is no news here
	server.StartTLS()
	defer server.Close()
	authority := writePEM(t, t.TempDir(), "ca.pem", "CERTIFICATE", server.Certificate().Raw)
	target := parse(t, server.URL)
	if got, err := newHTTP(t, lookup.HTTPOptions{URL: target, TLS: lookup.TLSOptions{CAFile: authority}}).Ask(t.Context(), nil); err != nil {
		t.Errorf("with its authority: %v, %v", got, err)
	}
	_, err := newHTTP(t, lookup.HTTPOptions{URL: target}).Ask(t.Context(), nil)
	if got, ok := errors.AsType[*lookup.Error](err); !ok || got.Transient() || !strings.Contains(got.Detail, "certificate not trusted") {
		t.Errorf("without its authority: %v", err)
	}
	for name, wrong := range map[string]lookup.TLSOptions{
		"no such file":   {CAFile: authority + "x"},
		"key alone":      {KeyFile: authority},
		"no certificate": {CertFile: authority, KeyFile: authority},
	} {
		if _, err := lookup.NewHTTP(lookup.HTTPOptions{URL: target, TLS: wrong}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestHTTPClientCertificate(t *testing.T) {
	dir := t.TempDir()
	certificate, pair := selfSigned(t, dir)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	clients := x509.NewCertPool()
	clients.AddCert(certificate)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	pair.CAFile = writePEM(t, dir, "server.pem", "CERTIFICATE", server.Certificate().Raw)

	target := parse(t, server.URL)
	if got, err := newHTTP(t, lookup.HTTPOptions{URL: target, TLS: pair}).Ask(t.Context(), nil); err != nil || got != "seamtag" {
		t.Errorf("with a certificate: %v, %v", got, err)
	}
	without := lookup.TLSOptions{CAFile: pair.CAFile}
	if got, err := newHTTP(t, lookup.HTTPOptions{URL: target, TLS: without}).Ask(t.Context(), nil); err == nil {
		t.Errorf("without a certificate: %v", got)
	}
}

// selfSigned writes a client's certificate and key.
func selfSigned(t *testing.T, dir string) (*x509.Certificate, lookup.TLSOptions) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "seamtag"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, lookup.TLSOptions{
		CertFile: writePEM(t, dir, "client.pem", "CERTIFICATE", raw), KeyFile: writePEM(t, dir, "client.key", "PRIVATE KEY", secret),
	}
}

func writePEM(t *testing.T, dir, name, kind string, raw []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestNewHTTPRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		url, header, value, body, method string
		bearer                           string
	}{
		"expression in scheme":    {url: "{x}://h/"},
		"expression as host":      {url: "https://{x}/a"},
		"expression in host":      {url: "https://h.{x}"},
		"expression after host":   {url: "https://h{x}/"},
		"expression as port":      {url: "https://h:{x}/"},
		"expression as user":      {url: "https://{x}@h/"},
		"expression hides host":   {url: "https://{x}/?to=http://h/"},
		"user in url":             {url: "https://u:p@h/"},
		"no host":                 {url: "https:///a"},
		"other scheme":            {url: "file:///etc/passwd"},
		"fragment":                {url: "https://h/a#{x}"},
		"expression names query":  {url: "https://h/a?{x}=1"},
		"expression is the query": {url: "https://h/a?b=1&{x}"},
		"climbing":                {url: "https://h/a/../{x}"},
		"half an escape":          {url: "https://h/a%2{x}"},
		"method":                  {url: "https://h/", method: "DELETE"},
		"body of a get":           {url: "https://h/", body: "1"},
		"body not JSON":           {url: "https://h/", method: "POST", body: `{{"a": "{x}"}}`},
		"host header":             {url: "https://h/", header: "host", value: "x"},
		"length header":           {url: "https://h/", header: "Content-Length", value: "x"},
		"header name":             {url: "https://h/", header: "a b", value: "x"},
		"header line break":       {url: "https://h/", header: "a", value: "x\n{y}"},
		"two authorizations":      {url: "https://h/", header: "authorization", value: "x", bearer: "y"},
		"bearer line break":       {url: "https://h/", bearer: "y\n"},
	} {
		t.Run(name, func(t *testing.T) {
			o := lookup.HTTPOptions{URL: parse(t, tc.url), Method: tc.method, Bearer: tc.bearer}
			if tc.body != "" {
				o.Body = parse(t, tc.body)
			}
			if tc.header != "" {
				o.Headers = map[string]lookup.Template{tc.header: parse(t, tc.value)}
			}
			if _, err := lookup.NewHTTP(o); err == nil {
				t.Error("was taken")
			} else {
				t.Log(err)
			}
		})
	}
}

func FuzzHTTPRequest(f *testing.F) {
	for _, value := range hostile() {
		f.Add(value[:min(len(value), 100)], "b")
	}
	var seen *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r
		_, _ = io.WriteString(w, `1`)
	}))
	f.Cleanup(server.Close)
	template := parse(f, server.URL+"/c/{a}/p-{b}/d?x={a}&y={b}")
	source, err := lookup.NewHTTP(lookup.HTTPOptions{URL: template})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = source.Close() })
	f.Fuzz(func(t *testing.T, a, b string) {
		seen = nil
		_, err := source.Ask(t.Context(), []any{a, b, a, b})
		if err != nil {
			if lookup.IsTransient(err) || seen != nil {
				t.Fatal(err)
			}
			return
		}
		if got := strings.Count(strings.SplitN(seen.RequestURI, "?", 2)[0], "/"); got != 4 {
			t.Errorf("path depth %d: %s", got, seen.RequestURI)
		}
		query, err := url.ParseQuery(seen.URL.RawQuery)
		if diff := cmp.Diff(url.Values{"x": {a}, "y": {b}}, query); err != nil || diff != "" {
			t.Errorf("query %v (-want +got)\n%s", err, diff)
		}
		if "http://"+seen.Host != server.URL {
			t.Errorf("host %s", seen.Host)
		}
	})
}
