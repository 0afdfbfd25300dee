package sandbox

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

const maxRequest = 1 << 20 // bytes

// route answers one endpoint. It runs under the lock, except for what it returns as after.
type route func(p params) (result map[string]any, after func(), err *refusal)

func (s *Sandbox) table() map[string]route {
	return map[string]route{
		"/connected_accounts/get":    s.getAccount,
		"/connected_accounts/list":   s.listAccounts,
		"/connected_accounts/update": s.updateAccount,
		"/connect_webviews/get":      s.getWebview,
		"/connect_webviews/list":     s.listWebviews,
		"/connect_webviews/create":   s.createWebview,
		"/events/get":                s.getEvent,
		"/events/list":               s.listEvents,
		"/webhooks/create":           s.createWebhook,
		"/webhooks/get":              s.getWebhook,
		"/webhooks/list":             s.listWebhooks,
		"/webhooks/update":           s.updateWebhook,
		"/webhooks/delete":           s.deleteWebhook,
		"/workspaces/get":            s.getWorkspace,
	}
}

// refusal is an answer that is not 2xx, in Seam's envelope.
type refusal struct {
	Status     int            `json:"-"`
	Type       string         `json:"type"`
	Message    string         `json:"message"`
	Data       map[string]any `json:"data,omitempty"`
	Validation map[string]any `json:"validation_errors,omitempty"`
}

// ServeHTTP answers as Seam does: faults first, then the key, the method, the content type, the body, the endpoint.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handle, known := s.routes[r.URL.Path]
	if !known {
		http.Error(w, "404", http.StatusNotFound) // text, as Seam's fake answers a wrong path
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "Body too large", http.StatusRequestEntityTooLarge)
		return
	}
	p, isObject := parseParams(body)
	requestID, fault, failing := s.arrive(r.URL.Path, p)
	w.Header().Set("Seam-Request-Id", requestID)
	if failing && fault.play(w, r) {
		return
	}
	if no := s.admit(r); no != nil {
		refuse(w, no)
		return
	}
	if !isObject {
		http.Error(w, "Invalid JSON", http.StatusBadRequest)
		return
	}
	s.serve(w, handle, p)
}

// arrive counts the call and takes its fault.
func (s *Sandbox) arrive(endpoint string, p params) (string, Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	s.calls[endpoint]++
	id, _ := p["connected_account_id"].(string)
	fault, failing := s.fault(endpoint, id)
	return "request" + strconv.Itoa(s.requests), fault, failing
}

func (s *Sandbox) serve(w http.ResponseWriter, handle route, p params) {
	s.mu.Lock()
	result, after, no := handle(p)
	var answer []byte
	if no == nil {
		// Encoded under the lock: the result holds what a next call may change.
		answer = encode(with(result, "ok", true))
	}
	s.mu.Unlock()
	if after != nil {
		after()
	}
	if no != nil {
		refuse(w, no)
		return
	}
	write(w, http.StatusOK, answer)
}

func (s *Sandbox) admit(r *http.Request) *refusal {
	s.mu.Lock()
	revoked := s.revoked
	s.mu.Unlock()
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	workspace := r.Header.Get("Seam-Workspace")
	switch {
	case !bearer:
		return &refusal{Status: http.StatusUnauthorized, Type: "unauthorized", Message: "No Authorization header"}
	case token != s.apiKey || revoked:
		return &refusal{Status: http.StatusUnauthorized, Type: "unauthorized", Message: "API Key not found"}
	case s.requireWorkspace && workspace == "":
		return &refusal{
			Status: http.StatusBadRequest, Type: "missing_workspace_id",
			Message: "When using access token authentication, you must provide the Seam-Workspace header",
		}
	case s.requireWorkspace && workspace != s.workspaceID:
		return &refusal{Status: http.StatusUnauthorized, Type: "unauthorized", Message: "Access token not found"}
	case r.Method != http.MethodPost:
		return &refusal{Status: http.StatusMethodNotAllowed, Type: "method_not_allowed", Message: "only POST accepted"}
	case !strings.Contains(r.Header.Get("Content-Type"), "application/json"):
		return &refusal{
			Status: http.StatusBadRequest, Type: "invalid_content_type",
			Message: `POST requests must have Content-Type header with "application/json"`,
		}
	}
	return nil
}

func refuse(w http.ResponseWriter, no *refusal) {
	write(w, no.Status, encode(map[string]any{"error": no, "ok": false}))
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone away is its own affair
}

// encode never fails on what the sandbox holds: it all came out of JSON or of a test's strings and booleans.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		return []byte(`{"error":{"type":"internal_error","message":"the sandbox holds what JSON cannot"},"ok":false}`)
	}
	return body
}

func with(m map[string]any, key string, value any) map[string]any {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]any{}
	}
	m[key] = value
	return m
}
