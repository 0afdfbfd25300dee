// Package main_test holds what the repository says about the program to what the program does: the README's commands are
// run, its environment table is compared with the code, and fly.toml, Dockerfile and Makefile are checked against both.
package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlyTomlFitsTheCode(t *testing.T) {
	fly := parseTOML(t, readFile(t, "fly.toml"))
	port, metricsPort := defaultOf(t, "PORT"), defaultOf(t, "METRICS_PORT")
	want := map[string]string{
		"env.PORT":                   port,
		"env.METRICS_PORT":           metricsPort,
		"http_service.internal_port": port,
		"http_service.processes":     `["web"]`, // a worker with a service could be stopped with its queue full
		"http_service.checks.path":   "/readyz",
		"checks.worker.port":         port,
		"checks.worker.path":         "/readyz",
		"metrics.port":               metricsPort,
		"metrics.path":               "/metrics",
		"restart.policy":             "always", // a worker that ends with 0 must come back
		"processes.web":              "serve --role web",
		"processes.worker":           "serve --role worker",
	}
	got := make(map[string]string, len(want))
	for key := range want {
		got[key] = fly[key]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fly.toml (-want +got):\n%s", diff)
	}
	if fly["http_service.auto_stop_machines"] == "suspend" {
		t.Error("fly.toml: a resumed Machine has a late clock, and signatures are judged by it")
	}
}

func TestDockerfileFitsTheCode(t *testing.T) {
	dockerfile := readFile(t, "Dockerfile")
	goVersion := find(t, readFile(t, "go.mod"), `(?m)^go (\d+\.\d+)`)
	for _, tc := range []struct{ name, pattern, want string }{
		{"Go version", `golang:(\d+\.\d+)`, goVersion},
		{"ports", `(?m)^EXPOSE (.+)$`, defaultOf(t, "PORT") + " " + defaultOf(t, "METRICS_PORT")},
		{"entry point", `(?m)^ENTRYPOINT (.+)$`, `["/seamtag"]`},
		{"command", `(?m)^CMD (.+)$`, `["serve"]`},
		{"version stamp", `-X (\S+)=\$`, find(t, readFile(t, "Makefile"), `-X (\S+)=\$`)},
	} {
		if got := find(t, dockerfile, tc.pattern); got != tc.want {
			t.Errorf("Dockerfile: %s is %q, want %q", tc.name, got, tc.want)
		}
	}
	if strings.Contains(dockerfile, "\nHEALTHCHECK") {
		t.Error("Dockerfile: HEALTHCHECK needs a shell or a client, and the image has neither")
	}
	if got := find(t, readFile(t, ".github/workflows/ci.yml"), `golang:(\d+\.\d+)`); got != goVersion {
		t.Errorf("ci.yml runs Go %s, go.mod says %s", got, goVersion)
	}
}

func TestRelativeLinksResolve(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, file := range markdownFiles(t) {
		for _, m := range link.FindAllStringSubmatch(readFile(t, file), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			}
		}
	}
}

// environmentTable is the README's table, which TestProgram holds to the code.
func environmentTable(t *testing.T) string {
	t.Helper()
	return between(t, readFile(t, "README.md"), "<!-- environment:begin -->\n", "<!-- environment:end -->")
}

// defaultOf is a variable's default, as the environment table gives it.
func defaultOf(t *testing.T, variable string) string {
	t.Helper()
	return find(t, environmentTable(t), "(?m)^\\| `"+variable+"` \\| `([^`]*)`")
}

// parseTOML reads the subset of TOML that fly.toml is written in: one key a line, values as text without their quotes.
// The keys of repeated tables share one name; of a key given twice the last wins.
func parseTOML(t *testing.T, text string) map[string]string {
	t.Helper()
	values := make(map[string]string)
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(regexp.MustCompile(`(^|\s)#.*`).ReplaceAllString(line, ""))
		if line == "" {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]") + "."
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("fly.toml: %q is neither a table nor a key", line)
		}
		values[section+strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return values
}

func markdownFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// find is the first group of the pattern's first match.
func find(t *testing.T, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s matches nothing", pattern)
	}
	return m[1]
}

func between(t *testing.T, text, begin, end string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, begin)
	inner, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("no text between %q and %q", begin, end)
	}
	return inner
}
