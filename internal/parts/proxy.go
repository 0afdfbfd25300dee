package parts

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP relay on loopback in front of a server, to play a slow network or one that is cut.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	latency time.Duration
	cut     chan struct{} // open while the network is cut: closed by Heal; nil otherwise
	conns   []net.Conn
	closed  bool
}

// NewProxy relays to target, a host:port, until the test ends.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("start a proxy: %v", err)
	}
	p := &Proxy{target: target, listener: l}
	p.running.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Delay lets every answer of the server come so much later from now on.
func (p *Proxy) Delay(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}

// Cut lets nothing through any more, as a network that is cut: connections stay and hang, new ones too.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut == nil {
		p.cut = make(chan struct{})
	}
}

// Heal ends Cut: what was on its way arrives late, as TCP sends it again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut != nil {
		close(p.cut)
		p.cut = nil
	}
}

// Reset closes all connections, as a server does with idle ones, or a firewall.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Heal()
	p.Reset()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if !p.keep(client) {
			return
		}
		p.running.Go(func() { p.relay(client) })
	}
}

// keep remembers a connection, to close it; it says no once the proxy is closed.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.conns = append(p.conns, c)
	return true
}

func (p *Proxy) forget(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = slices.DeleteFunc(p.conns, func(other net.Conn) bool { return other == c })
}

func (p *Proxy) relay(client net.Conn) {
	defer p.forget(client)
	p.pass()
	server, err := net.DialTimeout("tcp", p.target, time.Second)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.forget(server)
	var both sync.WaitGroup
	both.Go(func() { p.pipe(server, client, false); _ = server.Close() })
	both.Go(func() { p.pipe(client, server, true); _ = client.Close() })
	both.Wait()
}

// pass waits while the network is cut.
func (p *Proxy) pass() {
	p.mu.Lock()
	cut := p.cut
	p.mu.Unlock()
	if cut != nil {
		<-cut
	}
}

type chunk struct {
	data []byte
	at   time.Time
}

// pipe hands bytes on, each chunk late by the latency where it is an answer.
func (p *Proxy) pipe(to io.Writer, from io.Reader, answers bool) {
	chunks := make(chan chunk, 1024)
	var writing sync.WaitGroup
	writing.Go(func() {
		var broken bool
		for c := range chunks {
			if wait := time.Until(c.at); wait > 0 {
				<-time.After(wait)
			}
			p.pass()
			if !broken {
				_, err := to.Write(c.data)
				broken = err != nil
			}
		}
	})
	for {
		data := make([]byte, 32<<10)
		n, err := from.Read(data)
		at := time.Now()
		if answers {
			p.mu.Lock()
			at = at.Add(p.latency)
			p.mu.Unlock()
		}
		if n > 0 {
			chunks <- chunk{data[:n], at}
		}
		if err != nil {
			break
		}
	}
	close(chunks)
	writing.Wait()
}
