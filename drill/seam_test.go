package drill

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"seamtag/seam"
	"seamtag/seam/sandbox"
)

const (
	foreignKey = "other_system" // set by somebody else: seamtag must not change it
	tagKey     = "tenant"       // comes from the account's webview
)

// account is one at the pretend Seam: it was connected by a webview that knows its tenant, and has none of it yet.
type account struct {
	ID     string
	Tenant string
	Body   json.RawMessage // the event
}

// accountState is what became of one.
type accountState struct {
	Metadata seam.Metadata
	Updates  int
}

// pretendSeam is the sandbox with what the drill asks of it.
type pretendSeam struct {
	*sandbox.Sandbox

	mu      sync.Mutex
	updates map[string]int
}

// serveSeam is the pretend Seam's whole process: it prints its address and serves until it is killed.
func serveSeam() error {
	s := &pretendSeam{Sandbox: sandbox.New(sandbox.Options{}), updates: map[string]int{}}
	s.OnUpdate(s.note)
	mux := http.NewServeMux()
	mux.Handle("/", s.Sandbox)
	mux.HandleFunc("POST /drill/connect", answer(s.connect))
	mux.HandleFunc("POST /drill/write", answer(s.write))
	mux.HandleFunc("POST /drill/latency", answer(s.latency))
	mux.HandleFunc("POST /drill/states", answer(s.states))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, mux)
}

// answer makes a handler of a function from JSON to JSON.
func answer[In, Out any](f func(In) Out) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(f(in))
	}
}

func (s *pretendSeam) note(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates[id]++
}

func (s *pretendSeam) connect(n int) []account {
	made := make([]account, n)
	for i := range made {
		tenant := "tenant-" + sandbox.NewMessageID()
		o := s.Connect(s.AddWebview(sandbox.WebviewSpec{Metadata: seam.Metadata{tagKey: tenant}}))
		s.SetMetadata(o.Event.ConnectedAccountID, seam.Metadata{foreignKey: "before"})
		made[i] = account{ID: o.Event.ConnectedAccountID, Tenant: tenant, Body: o.Body}
	}
	return made
}

// write is another system that changes its own key of accounts.
func (s *pretendSeam) write(ids []string) int {
	for _, id := range ids {
		md, _ := s.Metadata(id)
		md[foreignKey] = "after"
		s.SetMetadata(id, md)
	}
	return len(ids)
}

func (s *pretendSeam) latency(ms int) bool {
	s.Heal()
	s.Fail(sandbox.Fault{Latency: time.Duration(ms) * time.Millisecond})
	return true
}

func (s *pretendSeam) states(ids []string) map[string]accountState {
	s.mu.Lock()
	updates := maps.Clone(s.updates)
	s.mu.Unlock()
	states := make(map[string]accountState, len(ids))
	for _, id := range ids {
		md, _ := s.Metadata(id)
		states[id] = accountState{Metadata: md, Updates: updates[id]}
	}
	return states
}

// seamProcess is the pretend Seam as the drill sees it.
type seamProcess struct {
	t   *testing.T
	url string
}

func startSeam(t *testing.T) *seamProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), seamRole+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the pretend Seam: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("start the pretend Seam: %v", err)
	}
	return &seamProcess{t: t, url: "http://" + line[:len(line)-1]}
}

// ask calls the pretend Seam's drill functions.
func ask[Out any](s *seamProcess, name string, in any) Out {
	s.t.Helper()
	var out Out
	body, err := json.Marshal(in)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.url+"/drill/"+name, "application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatalf("ask the pretend Seam: %v", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		s.t.Fatalf("ask the pretend Seam: %v", err)
	}
	return out
}
