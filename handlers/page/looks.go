package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"seamtag/queue"
)

//go:embed templates/*.html
var templates embed.FS

// frame is what every page has around it.
type frame struct {
	Title, Nav, Follow  string
	Role, Version       string
	Style, Script, Icon string
	Inside              bool
	Logout              string // the token of the form
	Data                any
}

// looks are the templates, each with the frame around it.
type looks map[string]*template.Template

func newLooks(now func() time.Time) (looks, error) {
	all := looks{}
	base, err := template.New("frame.html").Funcs(functions(now)).ParseFS(templates, "templates/frame.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("page: parse the frame: %w", err)
	}
	for _, name := range []string{"login", "overview", "events", "event", "dead", "account", "replay", "replayed", "fault"} {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templates, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("page: parse %s: %w", name, err)
		}
		all[name] = t
	}
	return all, nil
}

func (l looks) render(name string, f frame) ([]byte, error) {
	var b bytes.Buffer
	if err := l[name].Execute(&b, f); err != nil {
		return nil, fmt.Errorf("page: %s: %w", name, err)
	}
	return b.Bytes(), nil
}

func functions(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"ago":      func(t time.Time) string { return span(now().Sub(t)) + " ago" },
		"since":    func(t time.Time) string { return span(now().Sub(t)) },
		"stamp":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05.000") },
		"short":    func(t time.Time) string { return t.UTC().Format("2 Jan, 15:04:05") },
		"clock":    func(t time.Time) string { return t.UTC().Format("15:04") },
		"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"took":     tookText,
		"span":     span,
		"number":   func(n any) string { return number(count(n)) },
		"plural":   func(n any, one, many string) string { return plural(count(n), one, many) },
		"statuses": queue.Statuses,
		"ended":    func(s queue.Status) bool { return s.Ended() },
		"meaning":  meaning,
		"of":       func(counts map[queue.Status]int64, s queue.Status) int64 { return counts[s] },
	}
}

// span is a duration in the one or two units that matter.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 24*time.Hour:
		return units(int(d.Minutes()), 60, "h", "min")
	}
	return units(int(d.Hours()), 24, "d", "h")
}

func units(n, in int, large, small string) string {
	text := strconv.Itoa(n/in) + " " + large
	if rest := n % in; rest > 0 {
		text += " " + strconv.Itoa(rest) + " " + small
	}
	return text
}

func tookText(ms int64) string {
	if ms < 1000 {
		return strconv.FormatInt(ms, 10) + " ms"
	}
	return strconv.FormatFloat(float64(ms)/1000, 'f', 1, 64) + " s"
}

// count takes the counts of queue, which are int and int64.
func count(n any) int64 {
	if i, ok := n.(int); ok {
		return int64(i)
	}
	i, _ := n.(int64)
	return i
}

// number groups digits by thousands, with a thin space that does not break.
func number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteRune('\u202f')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return number(n) + " " + one
	}
	return number(n) + " " + many
}
