package metadata

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/seam"
)

func TestWritable(t *testing.T) {
	type named string
	at := time.Date(2026, time.March, 1, 2, 3, 4, 500_000_000, time.FixedZone("", 3600))
	cases := map[string]struct {
		value any
		want  any
	}{
		"nil":              {nil, nil},
		"string":           {"a", "a"},
		"empty string":     {"", ""},
		"named string":     {named("a"), "a"},
		"boolean":          {false, false},
		"int":              {int64(-5), "-5"},
		"uint":             {uint64(math.MaxUint64), "18446744073709551615"},
		"float":            {1e21, "1000000000000000000000"},
		"float32":          {float32(0.1), "0.1"},
		"small float":      {-2.5e-7, "-0.00000025"},
		"number":           {json.Number("1E+2"), "100"},
		"zero of any form": {json.Number("-0.00e5"), "0"},
		"time":             {at, "2026-03-01T02:03:04.5+01:00"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := writable("key", Tag{Value: c.value})
			if err != nil || !cmp.Equal(got, c.want) {
				t.Errorf("got %#v, %v; want %#v", got, err, c.want)
			}
		})
	}
}

func TestNotWritable(t *testing.T) {
	cases := map[string]struct {
		key   string
		value any
		want  string
	}{
		"list":         {"k", []string{"secret"}, `metadata key "k" (user.x): a value of kind list cannot be written, Seam takes strings and booleans`},
		"map":          {"k", map[string]any{}, `metadata key "k" (user.x): a value of kind object cannot be written, Seam takes strings and booleans`},
		"function":     {"k", func() {}, `metadata key "k" (user.x): a value of kind unknown cannot be written, Seam takes strings and booleans`},
		"NaN":          {"k", math.NaN(), `metadata key "k" (user.x): the number is not finite`},
		"huge":         {"k", json.Number("1e999999999"), `metadata key "k" (user.x): the number is too long to be written without an exponent`},
		"tiny":         {"k", json.Number("1e-99999999999999999999"), `metadata key "k" (user.x): the number is too long to be written without an exponent`},
		"600 digits":   {"k", json.Number("1e600"), `metadata key "k" (user.x): the value has 601 characters, Seam takes 500`},
		"no number":    {"k", json.Number("secret"), `metadata key "k" (user.x): the number is malformed`},
		"not UTF-8":    {"k", "\xff", `metadata key "k" (user.x): the value is not UTF-8`},
		"too long":     {"k", strings.Repeat("é", 501), `metadata key "k" (user.x): the value has 501 characters, Seam takes 500`},
		"empty key":    {"", "v", `metadata (user.x): the key is empty`},
		"key too long": {strings.Repeat("é", 41), "v", `metadata key "` + strings.Repeat("é", 41) + `" (user.x): the key has 41 characters, Seam takes 40`},
		"key of 100":   {strings.Repeat("é", 100), "v", `metadata key "` + strings.Repeat("é", 60) + `…" (user.x): the key has 100 characters, Seam takes 40`},
		"key no UTF-8": {"\xff", "v", `metadata key "\xff" (user.x): the key is not UTF-8`},
		"key of lines": {"a\nb\xff", "v", `metadata key "a\nb\xff" (user.x): the key is not UTF-8`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := writable(c.key, Tag{Value: c.value, Source: "user.x"})
			var rule *RuleError
			if !errors.As(err, &rule) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestLedgerSurvivesItsEncoding(t *testing.T) {
	webview := &seam.Webview{ID: "w1", Metadata: seam.Metadata{"user_id": "<u1>", "n": json.Number("1.50")}, Raw: map[string]any{
		"connect_webview_id": "w1", "url": "https://connect.example/?token=secret", "custom_metadata": map[string]any{"user_id": "<u1>"},
	}}
	origin := sight(webview, hourAt(1))
	want := Ledger{
		Version: ledgerVersion, OccurredAt: hourAt(2), EventID: "e", Owned: map[string]any{"vip": true}, Pending: map[string]any{"plan": "x"},
		Snapshot: seam.Metadata{"n": json.Number("1.50"), "null": nil}, Given: []string{"a", "b"}, Origin: origin,
		Latest: thin(origin, origin), Missing: &Missing{Values: seam.Metadata{"x": "y"}, SeenAt: hourAt(2)},
	}
	encoded := want.Encode()
	got, err := ParseLedger(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(string(encoded), "token=secret") {
		t.Error("the sign-in link is kept")
	}
	if webview.Raw["url"] == nil {
		t.Error("the webview itself was changed")
	}
	if got.latest().metadata()["user_id"] != "<u1>" {
		t.Error("the latest webview has lost its object")
	}
}

func TestParseLedger(t *testing.T) {
	if l, err := ParseLedger(nil); err != nil || !l.isZero() {
		t.Errorf("nothing gave %v, %v", l, err)
	}
	for input, want := range map[string]string{
		`{"v":2}`:          "parse ledger: version 2, this program knows 1",
		`{"v":1} {}`:       "parse ledger: text after the object",
		`{"v":1,"owned":3`: "parse ledger: not one JSON object of ours (16 bytes)",
		`"secret"`:         "parse ledger: not one JSON object of ours (8 bytes)",
	} {
		if _, err := ParseLedger([]byte(input)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", input, err, want)
		}
	}
}
