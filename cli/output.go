package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// output prints what a command found: JSON lines with --json, else text for a person, in colour on a terminal.
type output struct {
	w      io.Writer
	json   bool
	colour bool
}

func newOutput(p Process, asJSON bool) *output {
	return &output{w: p.Stdout, json: asJSON, colour: !asJSON && coloured(p, p.Stdout)}
}

// jsonFlag adds the flag that every command has that prints.
func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON lines")
}

// coloured says whether colour may go to w: a terminal that shows it, and nobody who set NO_COLOR (https://no-color.org).
func coloured(p Process, w io.Writer) bool {
	return isTerminal(w) && !slices.ContainsFunc(p.Environ, func(pair string) bool {
		name, value, _ := strings.Cut(pair, "=")
		return name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb"
	})
}

// one prints one result: v as a line of JSON, else the text.
func (o *output) one(v any, text string) error {
	if o.json {
		return printed(json.NewEncoder(o.w).Encode(v))
	}
	_, err := io.WriteString(o.w, text+"\n")
	return printed(err)
}

// style is how a cell looks where there is colour.
type style string

// The styles: SGR codes of ISO 6429 that light and dark terminals both show well.
const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint is for text that stands alone; cells carry their style.
func (o *output) paint(s style, text string) string {
	if !o.colour || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

// cells are fields without a style.
func cells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, text := range texts {
		row[i].text = text
	}
	return row
}

// table prints rows under a heading, or each row's value as a line of JSON. Columns grow with what comes, so that rows can
// be printed as they happen and stay aligned as far as that goes.
type table struct {
	o       *output
	heading []string
	widths  []int
	rows    [][]cell
	begun   bool
}

func (o *output) table(heading ...string) *table {
	t := &table{o: o, heading: heading, widths: make([]int, len(heading))}
	t.widen(cells(heading...))
	return t
}

// add takes a row as a person reads it and as a program does. The text is shown by flush.
func (t *table) add(v any, row ...cell) error {
	if t.o.json {
		return t.o.one(v, "")
	}
	for i := range row {
		row[i].text = printable(row[i].text)
	}
	t.widen(row)
	t.rows = append(t.rows, row)
	return nil
}

// flush shows the rows added since the last flush.
func (t *table) flush() error {
	if t.o.json || len(t.rows) == 0 {
		return nil
	}
	var b strings.Builder
	if !t.begun {
		heading := cells(t.heading...)
		for i := range heading {
			heading[i].style = bold
		}
		t.line(&b, heading)
	}
	for _, row := range t.rows {
		t.line(&b, row)
	}
	t.rows, t.begun = t.rows[:0], true
	_, err := io.WriteString(t.o.w, b.String())
	return printed(err)
}

func (t *table) widen(row []cell) {
	for i, c := range row {
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(c.text))
	}
}

func (t *table) line(b *strings.Builder, row []cell) {
	for i, c := range row {
		b.WriteString(t.o.paint(c.style, c.text))
		if i < len(row)-1 {
			b.WriteString(strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(c.text)+2))
		}
	}
	b.WriteByte('\n')
}

// printable keeps text from outside from moving the cursor or colouring the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}

// dash stands for a text that is not there.
func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// plural is "1 event" or "7 events".
func plural(n int, one string) string { return counted(n, one, one+"s") }

// counted is plural for a word that does not take an s.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
