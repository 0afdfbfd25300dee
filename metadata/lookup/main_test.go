package lookup_test

import (
	"testing"

	"go.uber.org/goleak"

	"seamtag/metadata/lookup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parse is a template that a test knows to be right.
func parse(tb testing.TB, text string) lookup.Template {
	tb.Helper()
	template, _, err := lookup.ParseTemplate(text)
	if err != nil {
		tb.Fatalf("parse %q: %v", text, err)
	}
	return template
}

// hostile are values that events could carry to change what a rule asks.
func hostile() map[string]string {
	return map[string]string{
		"path":       "../../admin?x=1#",
		"sql":        "'; drop table users; --",
		"line break": "a\r\nX-Admin: yes\r\n\r\nGET /admin",
		"long":       string(make([]byte, 1<<20)),
		"host":       "@evil.example/",
		"percent":    "%2e%2e%2f",
		"null byte":  "a\x00b",
		"backslash":  `..\..\admin`,
		"query":      "1&admin=true",
		"not UTF-8":  "\xff\xfe",
	}
}
