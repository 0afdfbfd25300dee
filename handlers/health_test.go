package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func ready() *http.Request { return httptest.NewRequest(http.MethodGet, ReadyPath, nil) }

func TestReadiness(t *testing.T) {
	for name, tc := range map[string]struct {
		health Health
		status int
		body   string
	}{
		"ready": {
			Health{Ready: true, Redis: Check{OK: true}, Lag: Lag{Waiting: 3, OldestSeconds: 2}}, 200,
			`{"ready":true,"role":"web","redis":{"ok":true},"paused":null,"lag":{"waiting":3,"oldest_seconds":2},"volatile":false,"problems":[]}`,
		},
		"volatile": {
			Health{Ready: true, Redis: Check{OK: true}, Volatile: true, Problems: []string{"in memory only"}}, 200,
			`{"ready":true,"role":"web","redis":{"ok":true},"paused":null,"lag":{"waiting":0,"oldest_seconds":0},` +
				`"volatile":true,"problems":["in memory only"]}`,
		},
		"paused": {
			Health{Redis: Check{OK: true}, Paused: &Pause{Reason: "unauthorized", Since: time.Unix(vectorTime, 0).UTC()}}, 503,
			`{"ready":false,"role":"web","redis":{"ok":true},"paused":{"reason":"unauthorized","since":"2024-11-15T21:12:01Z"},` +
				`"lag":{"waiting":0,"oldest_seconds":0},"volatile":false,"problems":[]}`,
		},
		"redis away": {
			Health{Redis: Check{Error: "connection refused"}}, 503,
			`{"ready":false,"role":"web","redis":{"ok":false,"error":"connection refused"},"paused":null,` +
				`"lag":{"waiting":0,"oldest_seconds":0},"volatile":false,"problems":[]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t, func(o *Options) {
				o.Role = "web"
				o.Health = func(context.Context) Health { return tc.health }
			})
			expect(t, s.do(ready()), tc.status, tc.body)
		})
	}
}

func TestVersionIsShown(t *testing.T) {
	s := setup(t, func(o *Options) { o.Version = "1.2.3" })
	expect(t, s.do(ready()), 200, `{"ready":true,"role":"all","version":"1.2.3","redis":{"ok":true},"paused":null,`+
		`"lag":{"waiting":0,"oldest_seconds":0},"volatile":false,"problems":[]}`)
}

func TestAPanickingHealthCheckIsNotReady(t *testing.T) {
	s := setup(t, func(o *Options) { o.Health = func(context.Context) Health { panic("jane@example.com") } })
	for range 2 {
		expect(t, s.do(ready()), 503, `{"ready":false,"role":"all","redis":{"ok":false},"paused":null,`+
			`"lag":{"waiting":0,"oldest_seconds":0},"volatile":false,"problems":["the health check panicked"]}`)
	}
}

func TestAHangingHealthCheckIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int32
		s := setup(t, func(o *Options) {
			o.Health = func(context.Context) Health {
				asked.Add(1)
				<-release
				return Health{Ready: true}
			}
		})
		began := time.Now()
		var probes sync.WaitGroup
		for range 5 {
			probes.Go(func() {
				expect(t, s.do(ready()), 503, `{"ready":false,"role":"all","redis":{"ok":false},"paused":null,`+
					`"lag":{"waiting":0,"oldest_seconds":0},"volatile":false,"problems":["the health check took over 3s"]}`)
			})
		}
		probes.Wait()
		if took := time.Since(began); took != 3*time.Second || asked.Load() != 1 {
			t.Errorf("took %s, asked %d times", took, asked.Load())
		}
		close(release)
		synctest.Wait()
		if r := s.do(ready()); r.StatusCode != 200 || asked.Load() != 2 {
			t.Errorf("afterwards: status %d, asked %d times", r.StatusCode, asked.Load())
		}
	})
}

func TestHealthIsTimeBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := setup(t, func(o *Options) {
			o.HealthTimeout = time.Second
			o.Health = func(ctx context.Context) Health { <-ctx.Done(); return Health{} }
		})
		if r := s.do(ready()); r.StatusCode != 503 {
			t.Errorf("status %d", r.StatusCode)
		}
		synctest.Wait()
	})
}
