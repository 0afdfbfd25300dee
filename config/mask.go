package config

import (
	"regexp"
	"strings"
)

var (
	// secretKeys are keys whose value may be a secret, where a file is too broken to know what is a key.
	secretKeys = regexp.MustCompile(`(?i)\b(dsn|bearer|[\w-]*(?:pass|auth|token|secret|key|cookie)[\w-]*)["']?\s*:\s*`)
	// credentials are the parts of a URL that may be secrets: before the host, and query values.
	credentials = regexp.MustCompile(`(://)([^/@\s]*)@|([?&][\w.-]*=)([^&\s"'}]+)`)
)

// masked is a line with every value that may be a secret made unreadable, each character by one, so that a caret still
// points at its place.
func (s *source) masked(number int) string {
	line := s.line(number)
	for _, secret := range s.secrets {
		switch {
		case secret.block && number > secret.line && s.belongs(secret, number):
			line = hide(line)
		case !secret.block && number == secret.line:
			before := len(line) - len(fromColumn(line, secret.column))
			line = line[:before] + hideScalar(line[before:])
		}
	}
	if !s.parsed {
		line = secretKeys.ReplaceAllStringFunc(line, func(key string) string { return key + "\x00" })
		line = hideMarked(line)
	}
	return credentials.ReplaceAllStringFunc(line, hideCredential)
}

// belongs tells whether a line is part of the block that starts at secret: indented deeper than the line that holds it.
func (s *source) belongs(secret place, number int) bool {
	indent := indentOf(s.line(secret.line))
	for n := secret.line + 1; n <= number; n++ {
		if line := s.line(n); strings.TrimSpace(line) != "" && indentOf(line) <= indent {
			return false
		}
	}
	return true
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// hideMarked hides the values that a NUL stands before.
func hideMarked(line string) string {
	parts := strings.Split(line, "\x00")
	for i := 1; i < len(parts); i++ {
		parts[i] = hideScalar(parts[i])
	}
	return strings.Join(parts, "")
}

// hideScalar hides the YAML scalar that text starts with, up to its closing quote or, without quotes, to the end.
func hideScalar(text string) string {
	if text == "" {
		return ""
	}
	if quote := text[0]; quote == '"' || quote == '\'' {
		if end := strings.IndexByte(text[1:], quote); end >= 0 {
			return string(quote) + hide(text[1:end+1]) + text[end+1:]
		}
	}
	return hide(text)
}

// hide keeps expressions and the names of variables, which are in braces, and hides the rest.
func hide(text string) string {
	depth := 0
	return strings.Map(func(r rune) rune {
		switch {
		case r == '{':
			depth++
		case r == '}':
			depth--
		case depth <= 0 && r != ' ' && r != '"' && r != '\'' && r != '$':
			return '*'
		}
		return r
	}, text)
}

func hideCredential(found string) string {
	if value, ok := strings.CutPrefix(found, "://"); ok {
		return "://" + hide(strings.TrimSuffix(value, "@")) + "@"
	}
	name, value, _ := strings.Cut(found, "=")
	return name + "=" + hide(value)
}
