package embedded

import (
	"crypto/rand"
	"fmt"
	"net/url"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// tick is how often TTLs advance, and so how much too early a key may expire. miniredis can also follow the clock by
// itself (ClockTTL), but then walks over every key on every command; ten walks a second cost less from 10 events/s on.
const tick = 100 * time.Millisecond

// memory is miniredis, with its TTLs advanced by real time. It listens on loopback behind a random password.
type memory struct {
	server *miniredis.Miniredis
	addr   url.URL
	never  chan struct{} // failed: miniredis dies with the process only
	stop   chan struct{}
	ended  chan struct{}
}

func startMemory() (*memory, error) {
	m := &memory{
		server: miniredis.NewMiniRedis(),
		never:  make(chan struct{}),
		stop:   make(chan struct{}),
		ended:  make(chan struct{}),
	}
	password := rand.Text()
	m.server.RequireAuth(password)
	if err := m.server.Start(); err != nil {
		return nil, fmt.Errorf("embedded redis: start miniredis: %w", err)
	}
	m.addr = url.URL{Scheme: "redis", User: url.UserPassword("default", password), Host: m.server.Addr(), Path: "/0"}
	go m.age()
	return m, nil
}

// age advances the TTLs by the time that really passed: a tick can come late.
func (m *memory) age() {
	defer close(m.ended)
	t := time.NewTicker(tick)
	defer t.Stop()
	for last := time.Now(); ; {
		select {
		case <-m.stop:
			return
		case <-t.C:
			now := time.Now()
			m.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (m *memory) url() string             { return m.addr.String() }
func (m *memory) name() string            { return "miniredis (in memory)" }
func (m *memory) failed() <-chan struct{} { return m.never }

func (m *memory) close() error {
	close(m.stop)
	<-m.ended
	m.server.Close()
	return nil
}
