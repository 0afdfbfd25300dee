package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// RulesError is one thing that is wrong with a rules file.
type RulesError struct {
	File    string // as the operator named it
	Line    int    // from 1; 0 when the file as a whole is meant
	Column  int    // from 1, in characters
	Source  string // the line itself, with what may be a secret masked
	Problem string // what is wrong, and what would be right
}

// Error reads like `seamtag.yaml:7:5: unknown key "chache", did you mean "cache"?`, the line and a caret below.
func (e *RulesError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Problem
	}
	text := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
	if strings.TrimSpace(e.Source) == "" {
		return text
	}
	number := fmt.Sprintf("%5d", e.Line)
	indent := strings.Repeat(" ", max(0, e.Column-1))
	return fmt.Sprintf("%s\n%s | %s\n%s | %s^", text, number, e.Source, strings.Repeat(" ", len(number)), indent)
}

// RulesErrors lists the errors of a rules file that err is made of; nil when it is made of others.
func RulesErrors(err error) []*RulesError {
	switch e := err.(type) { //nolint:errorlint // every branch is walked
	case *RulesError:
		return []*RulesError{e}
	case interface{ Unwrap() error }:
		return RulesErrors(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*RulesError
		for _, one := range e.Unwrap() {
			all = append(all, RulesErrors(one)...)
		}
		return all
	default:
		return nil
	}
}

// source is the text of a rules file, for showing where something is wrong.
type source struct {
	file    string
	lines   []string
	parsed  bool    // it is YAML, so secrets are known
	secrets []place // values that may hold secrets
}

// place is where a value starts in a source. The zero place is the file as a whole.
type place struct {
	source *source
	line   int
	column int  // in characters, from 1
	block  bool // the text starts on the line below, indented
}

func newSource(file string, data []byte) *source {
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
	}
	return &source{file: file, lines: lines}
}

// whole is an error of the file as such.
func (s *source) whole(problem string) error {
	return &RulesError{File: s.file, Line: 1, Column: 1, Problem: problem}
}

func (s *source) line(number int) string {
	if number < 1 || number > len(s.lines) {
		return ""
	}
	return s.lines[number-1]
}

// fault is an error at the place.
func (p place) faultf(format string, args ...any) error {
	return &RulesError{
		File: p.source.file, Line: p.line, Column: p.column, Source: printable(p.source.masked(p.line)), Problem: fmt.Sprintf(format, args...),
	}
}

// near is the place of a plain text where the YAML parser is a few columns off, as it is before trailing spaces.
func (p place) near(text string) place {
	line := p.source.line(p.line)
	for _, off := range []int{0, -1, 1, -2, 2, -3, 3} {
		rest := fromColumn(line, p.column+off)
		if rest != "" && (strings.HasPrefix(rest, text) || rest[0] == '"' || rest[0] == '\'') {
			p.column += off
			break
		}
	}
	return p
}

// inside is the place of the byte at offset of a value that starts at p and reads raw. Where the file spells the value
// otherwise than it reads, such as with escapes or folded lines, it is where the value starts.
func (p place) inside(raw string, offset int) place {
	offset = min(max(0, offset), len(raw))
	if p.block {
		return p.insideBlock(raw, offset)
	}
	rest := fromColumn(p.source.line(p.line), p.column)
	before := utf8.RuneCountInString(raw[:offset])
	switch {
	case strings.HasPrefix(rest, raw):
		return place{source: p.source, line: p.line, column: p.column + before}
	case rest != "" && (rest[0] == '"' || rest[0] == '\'') && strings.HasPrefix(rest[1:], raw):
		return place{source: p.source, line: p.line, column: p.column + 1 + before}
	default:
		return p
	}
}

func (p place) insideBlock(raw string, offset int) place {
	above := strings.Count(raw[:offset], "\n")
	start := strings.LastIndexByte(raw[:offset], '\n') + 1
	want, _, _ := strings.Cut(raw[start:], "\n")
	line, is := strings.CutSuffix(p.source.line(p.line+1+above), want)
	if want == "" || !is || strings.TrimSpace(line) != "" {
		return p
	}
	return place{source: p.source, line: p.line + 1 + above, column: len(line) + 1 + utf8.RuneCountInString(raw[start:offset])}
}

// fromColumn is the part of line that starts at a column, counted in characters from 1.
func fromColumn(line string, column int) string {
	for i := range line {
		if column == 1 {
			return line[i:]
		}
		column--
	}
	return ""
}

// printable keeps a caret below what it points at, and a terminal as it is.
func printable(line string) string {
	const shown = 200
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, line)
	if runes := []rune(clean); len(runes) > shown {
		return string(runes[:shown]) + "…"
	}
	return clean
}
