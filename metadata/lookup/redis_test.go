package lookup_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
	"seamtag/metadata/lookup"
)

func newRedis(t *testing.T, options lookup.RedisOptions) *lookup.Redis {
	t.Helper()
	source, err := lookup.NewRedis(options)
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

func TestRedis(t *testing.T) {
	server := parts.Redis(t)
	client := server.Client()
	ctx := t.Context()
	for _, err := range []error{
		client.HSet(ctx, "site:hq", "name", "Head Office", "floors", "7").Err(),
		client.Set(ctx, "plain:hq", "gold", 0).Err(),
		client.Set(ctx, "json:hq", `{"n":12345678901234567890}`, 0).Err(),
		client.Set(ctx, "json:null", `null`, 0).Err(),
		client.Set(ctx, "json:broken", `{secret`, 0).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	hash := lookup.RedisOptions{Hash: parse(t, "site:{x}")}
	text := lookup.RedisOptions{String: parse(t, "plain:{x}")}
	document := lookup.RedisOptions{JSON: parse(t, "json:{x}")}
	wrong := lookup.RedisOptions{String: parse(t, "site:{x}")}
	for name, tc := range map[string]struct {
		options lookup.RedisOptions
		ask     string
		want    any
		err     string // "missing" or the whole text
	}{
		"hash":         {hash, "hq", map[string]any{"name": "Head Office", "floors": "7"}, ""},
		"no hash":      {hash, "secret", nil, "missing"},
		"string":       {text, "hq", "gold", ""},
		"no string":    {text, "secret", nil, "missing"},
		"json":         {document, "hq", map[string]any{"n": json.Number("12345678901234567890")}, ""},
		"json null":    {document, "null", nil, "missing"},
		"no json":      {document, "secret", nil, "missing"},
		"json broken":  {document, "broken", nil, "redis lookup: the key holds a string that is not JSON"},
		"another kind": {wrong, "hq", nil, "redis lookup: the server answered WRONGTYPE"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.options.URL = server.URL()
			got, err := newRedis(t, tc.options).Ask(ctx, []any{tc.ask})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			switch {
			case tc.err == "missing" && !errors.Is(err, lookup.ErrMissing),
				tc.err == "" && err != nil,
				tc.err != "" && tc.err != "missing" && (err == nil || err.Error() != tc.err || lookup.IsTransient(err)):
				t.Errorf("error %v, want %q", err, tc.err)
			}
		})
	}
}

func TestRedisHostileKeysAreOneArgument(t *testing.T) {
	server := parts.Redis(t)
	client := server.Client()
	if err := client.Set(t.Context(), "keep", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	source := newRedis(t, lookup.RedisOptions{URL: server.URL(), String: parse(t, "site:{x}")})
	if diff := cmp.Diff([]string{"x"}, source.Expressions()); diff != "" {
		t.Errorf("expressions (-want +got)\n%s", diff)
	}
	values := hostile()
	values["command"] = "x\r\n*1\r\n$8\r\nFLUSHALL\r\n"
	for name, value := range values {
		if err := client.Set(t.Context(), "site:"+value, name, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := source.Ask(t.Context(), []any{value}); err != nil || got != name {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got := client.Get(t.Context(), "keep").Val(); got != "1" {
		t.Error("a key was lost")
	}
}

func TestRedisDown(t *testing.T) {
	server := parts.Redis(t)
	source := newRedis(t, lookup.RedisOptions{URL: server.URL(), String: parse(t, "{x}")})
	kindOf := func(ctx context.Context) lookup.Kind {
		_, err := source.Ask(ctx, []any{"secret"})
		got, ok := errors.AsType[*lookup.Error](err)
		if !ok || strings.Contains(err.Error(), "secret") {
			t.Fatalf("got %v", err)
		}
		return got.Kind
	}
	if _, err := source.Ask(t.Context(), []any{"a"}); !errors.Is(err, lookup.ErrMissing) {
		t.Fatal(err)
	}
	server.Signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if kind := kindOf(ctx); kind != lookup.Timeout {
		t.Errorf("hung: kind %d", kind)
	}
	server.Signal(syscall.SIGCONT)
	server.Stop()
	if kind := kindOf(t.Context()); kind != lookup.Transport {
		t.Errorf("stopped: kind %d", kind)
	}
	server.Start()
	if _, err := source.Ask(t.Context(), []any{"a"}); !errors.Is(err, lookup.ErrMissing) {
		t.Errorf("up again: %v", err)
	}
}

func TestNewRedisRefuses(t *testing.T) {
	for name, options := range map[string]lookup.RedisOptions{
		"url":    {URL: "redis://u:dsn-s3cret@h:port", Hash: parse(t, "a")},
		"scheme": {URL: "http://u:dsn-s3cret@h", Hash: parse(t, "a")},
		"none":   {URL: "redis://h"},
		"two":    {URL: "redis://h", Hash: parse(t, "a"), JSON: parse(t, "b")},
	} {
		if _, err := lookup.NewRedis(options); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
