package queue_test

import (
	"strings"
	"testing"
	"time"

	"seamtag/internal/parts"
)

func TestDiagnoseMeasuresRedis(t *testing.T) {
	r := parts.Redis(t, "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
	q := open(t, r)
	d, err := q.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.Version == "" || d.Latency <= 0 || d.Used <= 0 || d.Most != 50<<20 || d.Ahead.Abs() > time.Minute {
		t.Errorf("%+v", d)
	}
	var texts []string
	for _, p := range d.Problems {
		texts = append(texts, p.Text)
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{"allkeys-lru", "append-only"} {
		if !strings.Contains(all, want) {
			t.Errorf("no problem says %q:\n%s", want, all)
		}
	}
	r.Kill()
	if _, err := q.Diagnose(t.Context()); err == nil {
		t.Error("without redis: no error")
	}
}
