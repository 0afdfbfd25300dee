package handlers

import (
	"encoding/json"
	"time"

	"seamtag/queue"
)

// Event is one event as the admin API and the commands show it. Every key is always there; what is not known is empty.
type Event struct {
	ID                 string          `json:"id"`
	MessageID          string          `json:"message_id"`
	EventID            string          `json:"event_id"`
	EventType          string          `json:"event_type"`
	WorkspaceID        string          `json:"workspace_id"`
	ConnectedAccountID string          `json:"connected_account_id"`
	ConnectWebviewID   string          `json:"connect_webview_id"`
	ReceivedAt         time.Time       `json:"received_at"`
	Status             queue.Status    `json:"status"`
	Attempts           int             `json:"attempts"`   // since the last replay
	Deliveries         int             `json:"deliveries"` // times that work started, ever
	Reason             string          `json:"reason"`
	Error              string          `json:"error"`
	Result             json.RawMessage `json:"result"`
}

// noResult is that of an event that set nothing, or did not end yet.
const noResult = `{"set":{},"removed":[],"restored":[],"sources":{}}`

// NewEvent shows an entry.
func NewEvent(e *queue.Entry) Event {
	v := Event{
		ID: e.EntryID, MessageID: e.ID, EventID: e.EventID, EventType: e.Type, WorkspaceID: e.Workspace,
		ConnectedAccountID: e.Key, ConnectWebviewID: e.Webview, ReceivedAt: e.ReceivedAt.UTC(), Status: e.Status,
		Attempts: e.Attempts, Deliveries: e.Deliveries, Reason: e.Reason, Error: e.Error, Result: e.Result,
	}
	if len(v.Result) == 0 {
		v.Result = json.RawMessage(noResult)
	}
	return v
}
