package handlers

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// serve puts the stand behind a real listener, with timeouts short enough to see.
func serve(t *testing.T, s *stand) string {
	t.Helper()
	server := NewServer(s.handler, zerolog.New(s.log))
	server.ReadHeaderTimeout, server.ReadTimeout = 100*time.Millisecond, 200*time.Millisecond
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServerLimits(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), zerolog.Nop())
	if s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 15*time.Second || s.WriteTimeout != 30*time.Second ||
		s.IdleTimeout != 75*time.Second || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("limits are %+v", s)
	}
}

// The read ends only when the server cuts the connection: the test hangs where it does not.
func TestAClientThatDribblesHeadersIsCut(t *testing.T) {
	c := dial(t, serve(t, setup(t)), "POST "+WebhookPath+" HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	if b, err := io.ReadAll(c); err != nil || strings.Contains(string(b), " 20") {
		t.Errorf("answered %q, %v", b, err)
	}
}

func TestAClientThatDribblesTheBodyIsCut(t *testing.T) {
	s := setup(t)
	c := dial(t, serve(t, s), "POST "+WebhookPath+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"+
		"svix-id: m\r\nsvix-timestamp: 1731705121\r\nsvix-signature: v1,x\r\n\r\n{")
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 400 ") || !strings.Contains(string(b), "not received in full") {
		t.Errorf("answered %q, %v", b, err)
	}
}

func TestHeadersThatAreTooLargeAreRefused(t *testing.T) {
	c := dial(t, serve(t, setup(t)), "GET "+LivePath+" HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 24<<10)+"\r\n\r\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(line, " 431 ") {
		t.Errorf("answered %q, %v", line, err)
	}
}

func TestTheServersComplaintsAreLogged(t *testing.T) {
	var log lockedBuffer
	NewServer(http.NotFoundHandler(), zerolog.New(&log)).ErrorLog.Print("http: Accept error: too many open files")
	if got := log.lines(t); len(got) != 1 || got[0]["level"] != "warn" || got[0]["http"] != "http: Accept error: too many open files" {
		t.Errorf("logged %v", got)
	}
}
