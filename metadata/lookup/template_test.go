package lookup_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/metadata/lookup"
)

func TestParseTemplate(t *testing.T) {
	for name, tc := range map[string]struct {
		text        string
		expressions []string
		offsets     []int
		rendered    string // with "1", "2" …
	}{
		"none":             {"plain", nil, nil, "plain"},
		"one":              {"a/{ user.id }/b", []string{"user.id"}, []int{3}, "a/1/b"},
		"two beside":       {"{a}{b}", []string{"a", "b"}, []int{1, 4}, "12"},
		"escaped":          {"{{{a}}}", []string{"a"}, []int{3}, "{1}"},
		"map inside":       {`x{ {"k": {"v": a}}["k"] }`, []string{`{"k": {"v": a}}["k"]`}, []int{2}, "x1"},
		"braces in quotes": {`{a ?? "}"}{b == '{\''}`, []string{`a ?? "}"`, `b == '{\''`}, []int{1, 11}, "12"},
		"raw quotes":       {"{a + `\\`}", []string{"a + `\\`"}, []int{1}, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			template, expressions, err := lookup.ParseTemplate(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.expressions, expressions); diff != "" {
				t.Errorf("expressions (-want +got)\n%s", diff)
			}
			var offsets []int
			var values []any
			for i := range expressions {
				offsets = append(offsets, template.Offset(i))
				values = append(values, int64(i+1))
			}
			if diff := cmp.Diff(tc.offsets, offsets); diff != "" {
				t.Errorf("offsets (-want +got)\n%s", diff)
			}
			got, err := template.Render(lookup.Key, values)
			if err != nil || got != tc.rendered {
				t.Errorf("rendered %q, %v; want %q", got, err, tc.rendered)
			}
		})
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a/{b":    "byte 3: the brace is not closed; write {{ for a brace",
		"a/b}":    "byte 4: a closing brace without an opening one; write }} for a brace",
		"a/{ }/b": "byte 3: empty expression; write {{ }} for braces",
		`{"a}`:    "byte 1: the brace is not closed; write {{ for a brace",
	} {
		if _, _, err := lookup.ParseTemplate(text); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestRender(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		text  string
		place lookup.Place
		value any
		want  string
	}{
		"path":           {"/c/{x}", lookup.Path, "../a b?c#d%2f", "/c/..%2Fa%20b%3Fc%23d%252f"},
		"query":          {"a={x}", lookup.Query, "1&b=2 +#", "a=1%26b%3D2+%2B%23"},
		"header":         {"id {x}", lookup.Header, "é\tx", "id é\tx"},
		"key":            {"site:{x}", lookup.Key, "a b\r\nDEL *", "site:a b\r\nDEL *"},
		"body text":      {`{{"id":{x}}}`, lookup.Body, "\"}\n", `{"id":"\"}\n"}`},
		"body number":    {`{{"id":{x}}}`, lookup.Body, int64(7), `{"id":7}`},
		"big number":     {"{x}", lookup.Path, 1e21, "1000000000000000000000"},
		"whole float":    {"{x}", lookup.Path, 42.0, "42"},
		"decoded number": {"{x}", lookup.Path, json.Number("12345678901234567890"), "12345678901234567890"},
		"truth":          {"{x}", lookup.Query, true, "true"},
		"time":           {"{x}", lookup.Query, at, "2026-11-23T09%3A00%3A00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(t, tc.text).Render(tc.place, []any{tc.value})
			if err != nil || got != tc.want {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		place lookup.Place
		value any
	}{
		"up":               {"/c/{x}/d", lookup.Path, ".."},
		"here":             {"/c/{x}", lookup.Path, "."},
		"up by halves":     {"/c/.{x}", lookup.Path, "."},
		"line feed":        {"{x}", lookup.Header, "a\nb"},
		"carriage return":  {"{x}", lookup.Header, "a\rb"},
		"null byte":        {"{x}", lookup.Header, "a\x00b"},
		"delete character": {"{x}", lookup.Header, "a\x7fb"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, tc.text).Render(tc.place, []any{tc.value})
			if refused, ok := errors.AsType[*lookup.Error](err); !ok || refused.Transient() {
				t.Errorf("got %v, want a permanent error", err)
			}
		})
	}
	if _, err := parse(t, "{x}").Render(lookup.Key, []any{nil}); !errors.Is(err, lookup.ErrMissing) {
		t.Errorf("null: %v, want ErrMissing", err)
	}
	if _, err := parse(t, "{x}").Render(lookup.Key, nil); err == nil {
		t.Error("too few values were taken")
	}
}

func FuzzParseTemplate(f *testing.F) {
	f.Add("a/{b}/{{c}}")
	f.Add(`{ {"a": '}'} }`)
	f.Fuzz(func(t *testing.T, text string) {
		template, expressions, err := lookup.ParseTemplate(text)
		if err != nil {
			return
		}
		for i, expression := range expressions {
			if expression == "" || template.Offset(i) > len(text) {
				t.Errorf("expression %q at %d of %q", expression, template.Offset(i), text)
			}
		}
	})
}
