package sandbox

import (
	"encoding/json"
	"fmt"
	"time"

	"seamtag/seam"
)

// The formats Seam writes: objects in milliseconds, events in microseconds.
const (
	milliseconds = "2006-01-02T15:04:05.000Z"
	microseconds = "2006-01-02T15:04:05.000000Z"
)

// Occurrence is something that happened in the sandbox: the event, and its body as Seam sends it.
type Occurrence struct {
	Event seam.Event
	Body  []byte
}

// WebviewSpec describes a webview to add.
type WebviewSpec struct {
	ID          string // a new id
	CustomerKey string
	Metadata    seam.Metadata
}

// AddWebview adds a pending Connect Webview and returns its id.
func (s *Sandbox) AddWebview(spec WebviewSpec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addWebview(spec).ID
}

func (s *Sandbox) addWebview(spec WebviewSpec) *webview {
	if spec.ID == "" {
		spec.ID = s.newID()
	}
	w := &webview{
		ID: spec.ID, WorkspaceID: s.workspaceID, Status: "pending", CustomerKey: spec.CustomerKey,
		Metadata: copyOf(spec.Metadata), CreatedAt: s.now().UTC().Format(milliseconds),
		URL: "https://connect.sandbox.example/connect_webviews/view?connect_webview_id=" + spec.ID,
	}
	s.webviews.add(w.ID, w)
	return w
}

// ConnectOption changes one Connect or Reconnect.
type ConnectOption func(*connection)

type connection struct {
	accountID      string
	at             time.Time
	withoutWebview bool
	keepOnEmpty    bool
}

// WithoutWebviewID leaves connect_webview_id out of the event, as Seam may.
func WithoutWebviewID() ConnectOption { return func(c *connection) { c.withoutWebview = true } }

// At sets when it happened; now by default.
func At(t time.Time) ConnectOption { return func(c *connection) { c.at = t } }

// AccountID chooses the id of a new account.
func AccountID(id string) ConnectOption { return func(c *connection) { c.accountID = id } }

// WipeOnEmpty says whether a reconnect by a webview without metadata empties the account. Seam's two texts about it
// disagree; true by default.
func WipeOnEmpty(wipe bool) ConnectOption { return func(c *connection) { c.keepOnEmpty = !wipe } }

// Connect lets somebody log in on a webview for the first time: a new account gets the webview's metadata and
// customer_key. It records connect_webview.login_succeeded and connected_account.connected and returns the latter.
// A webview that the sandbox does not know gives an event that names it and an account without metadata.
func (s *Sandbox) Connect(webviewID string, opt ...ConnectOption) Occurrence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connect(webviewID, s.connectionOf(opt))
}

// Reconnect lets somebody log in again to an account: the webview's metadata replaces the account's. An account that
// is not there is connected anew under its id.
func (s *Sandbox) Reconnect(accountID, webviewID string, opt ...ConnectOption) Occurrence {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.connectionOf(opt)
	c.accountID = accountID
	return s.connect(webviewID, c)
}

// Events is all that happened, oldest first.
func (s *Sandbox) Events() []Occurrence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Occurrence(nil), s.events...)
}

func (s *Sandbox) connectionOf(opt []ConnectOption) connection {
	c := connection{at: s.now()}
	for _, o := range opt {
		o(&c)
	}
	if c.accountID == "" {
		c.accountID = s.newID()
	}
	return c
}

func (s *Sandbox) connect(webviewID string, c connection) Occurrence {
	at := c.at.UTC()
	a, known := s.accounts.get(c.accountID)
	if !known {
		a = s.addAccount(c.accountID, at)
	}
	if w, ok := s.webviews.get(webviewID); ok {
		w.Status, w.LoginSuccessful, w.AccountID = "authorized", true, &a.ID
		authorized := at.Format(milliseconds)
		w.AuthorizedAt = &authorized
		if a.CustomerKey == "" {
			a.CustomerKey = w.CustomerKey
		}
		if len(w.Metadata) > 0 || !c.keepOnEmpty {
			a.Metadata = w.Metadata.Clone()
		}
	}
	if webviewID != "" {
		s.record(seam.TypeLoginSucceeded, a, webviewID, at)
	}
	if c.withoutWebview {
		webviewID = ""
	}
	return s.record(seam.TypeAccountConnected, a, webviewID, at)
}

func (s *Sandbox) addAccount(id string, at time.Time) *account {
	n := s.accounts.seq + 1
	a := &account{
		ID: id, WorkspaceID: s.workspaceID, CreatedAt: at.Format(milliseconds), Metadata: seam.Metadata{},
		AccountType: "august", TypeName: "August", DisplayName: fmt.Sprintf("guest-%d@sandbox.example", n),
	}
	a.User.Email = a.DisplayName // as in production: an address that must not reach a log
	s.accounts.add(id, a)
	return a
}

// wireEvent is an event as Seam sends it.
type wireEvent struct {
	EventID     string        `json:"event_id"`
	EventType   string        `json:"event_type"`
	WorkspaceID string        `json:"workspace_id"`
	CreatedAt   string        `json:"created_at"`
	OccurredAt  string        `json:"occurred_at"`
	AccountID   string        `json:"connected_account_id"`
	WebviewID   string        `json:"connect_webview_id,omitempty"`
	CustomerKey string        `json:"customer_key,omitempty"`
	Metadata    seam.Metadata `json:"connected_account_custom_metadata,omitempty"`
}

func (s *Sandbox) record(eventType string, a *account, webviewID string, at time.Time) Occurrence {
	when := at.Format(microseconds)
	occ := occurrenceOf(wireEvent{
		EventID: s.newID(), EventType: eventType, WorkspaceID: s.workspaceID, CreatedAt: when, OccurredAt: when,
		AccountID: a.ID, WebviewID: webviewID, CustomerKey: a.CustomerKey, Metadata: a.Metadata,
	})
	s.events = append(s.events, occ)
	return occ
}

// occurrenceOf panics where an id was chosen that no event may carry: the test that chose it is wrong.
func occurrenceOf(w wireEvent) Occurrence {
	body, err := json.Marshal(w)
	if err != nil {
		panic(fmt.Errorf("sandbox: encode an event: %w", err))
	}
	ev, err := seam.ParseEvent(body)
	if err != nil {
		panic(fmt.Errorf("sandbox: read an event back: %w", err))
	}
	return Occurrence{Event: ev, Body: body}
}
