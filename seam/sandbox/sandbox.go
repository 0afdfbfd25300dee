package sandbox

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"seamtag/seam"
)

// DefaultAPIKey is the key of a sandbox that was given none.
const DefaultAPIKey = "seam_test_sandbox" //nolint:gosec // a pretend key of a pretend Seam

// Semantics is what an update does to the metadata that is there.
type Semantics int

const (
	// Replace is documented: the whole object is replaced; a null is a key that is not there.
	Replace Semantics = iota
	// Merge is what Seam's fake does: keys are added and changed, none is removed, and null is stored.
	Merge
)

// Options of a Sandbox; the zero value is ready.
type Options struct {
	Semantics   Semantics
	APIKey      string           // DefaultAPIKey
	WorkspaceID string           // a new id
	Now         func() time.Time // time.Now
	NewID       func() string    // random UUIDs; called under the sandbox's lock
	// RequireWorkspace lets every call without the header seam-workspace fail, as with a personal access token.
	RequireWorkspace bool
}

// Sandbox is a pretend Seam. It is safe for concurrent use.
type Sandbox struct {
	semantics        Semantics
	apiKey           string
	workspaceID      string
	now              func() time.Time
	newID            func() string
	requireWorkspace bool
	routes           map[string]route

	mu       sync.Mutex
	revoked  bool
	accounts store[account]
	webviews store[webview]
	webhooks store[webhook]
	events   []Occurrence // in the order they happened
	faults   []*Fault
	calls    map[string]int
	requests int
	onUpdate func(accountID string)
}

var _ http.Handler = (*Sandbox)(nil)

// New returns an empty sandbox: a workspace with one API key.
func New(o Options) *Sandbox {
	s := &Sandbox{
		semantics:        o.Semantics,
		apiKey:           o.APIKey,
		workspaceID:      o.WorkspaceID,
		now:              o.Now,
		newID:            o.NewID,
		requireWorkspace: o.RequireWorkspace,
		calls:            map[string]int{},
	}
	if s.apiKey == "" {
		s.apiKey = DefaultAPIKey
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.newID == nil {
		s.newID = NewUUID
	}
	if s.workspaceID == "" {
		s.workspaceID = s.newID()
	}
	s.routes = s.table()
	return s
}

// APIKey is the key that the sandbox accepts.
func (s *Sandbox) APIKey() string { return s.apiKey }

// WorkspaceID is the workspace of the key.
func (s *Sandbox) WorkspaceID() string { return s.workspaceID }

// RevokeKey lets every call answer 401 unauthorized until RestoreKey.
func (s *Sandbox) RevokeKey() { s.setRevoked(true) }

// RestoreKey ends RevokeKey.
func (s *Sandbox) RestoreKey() { s.setRevoked(false) }

func (s *Sandbox) setRevoked(revoked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = revoked
}

// Calls counts the calls of an endpoint such as "/connected_accounts/get", failed ones included; "" counts all.
func (s *Sandbox) Calls(endpoint string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if endpoint != "" {
		return s.calls[endpoint]
	}
	total := 0
	for _, n := range s.calls {
		total += n
	}
	return total
}

// ResetCalls begins counting anew.
func (s *Sandbox) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
}

// OnUpdate calls fn right after an update is stored and before it is answered, outside of the lock: the moment for
// another writer to step in. nil ends it.
func (s *Sandbox) OnUpdate(fn func(accountID string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onUpdate = fn
}

// Metadata is what an account holds now, and whether there is such an account.
func (s *Sandbox) Metadata(accountID string) (seam.Metadata, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.accounts.get(accountID)
	if !ok {
		return nil, false
	}
	return a.Metadata.Clone(), true
}

// SetMetadata plays another writer: it sets the whole object, whatever the semantics. An unknown account is left.
func (s *Sandbox) SetMetadata(accountID string, md seam.Metadata) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.accounts.get(accountID); ok {
		a.Metadata = copyOf(md)
	}
}

// DeleteAccount lets every further call about the account answer 404.
func (s *Sandbox) DeleteAccount(accountID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts.remove(accountID)
}

// DeleteWebview lets every further call about the webview answer 404.
func (s *Sandbox) DeleteWebview(webviewID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webviews.remove(webviewID)
}

// copyOf is never nil: Seam always answers an object.
func copyOf(md seam.Metadata) seam.Metadata {
	if md == nil {
		return seam.Metadata{}
	}
	return md.Clone()
}

// store keeps things by id and in the order they came. seq never repeats, so a cursor survives deletions.
type store[T any] struct {
	seq   int
	byID  map[string]*T
	items []item[T]
}

type item[T any] struct {
	id  string
	seq int
	val *T
}

// add takes the place of what had the id before.
func (s *store[T]) add(id string, val *T) {
	if s.byID == nil {
		s.byID = map[string]*T{}
	}
	s.remove(id)
	s.seq++
	s.byID[id] = val
	s.items = append(s.items, item[T]{id, s.seq, val})
}

func (s *store[T]) get(id string) (*T, bool) {
	val, ok := s.byID[id]
	return val, ok
}

func (s *store[T]) remove(id string) {
	if _, ok := s.byID[id]; !ok {
		return
	}
	delete(s.byID, id)
	s.items = slices.DeleteFunc(s.items, func(it item[T]) bool { return it.id == id })
}

// NewUUID is a random UUID, version 4.
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
