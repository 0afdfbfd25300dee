package metadata

import (
	"encoding/json"
	"time"

	"seamtag/seam"
)

// TypeCheck is the type of our own events, which no vendor sends: look at this account, although nothing is known to have
// happened. A check is no news: it counts as of the latest connect known, so that a connect whose event is still on its way
// is judged as if there had been no check.
const TypeCheck = "seamtag.check"

// CheckEvent is the body of a check.
func CheckEvent(eventID, accountID, workspaceID string, at time.Time) ([]byte, error) {
	when := at.UTC().Format(time.RFC3339Nano)
	event := map[string]string{
		fieldEventID: eventID, fieldEventType: TypeCheck, fieldAccountID: accountID, fieldCreatedAt: when, fieldOccurredAt: when,
	}
	if workspaceID != "" {
		event["workspace_id"] = workspaceID
	}
	return json.Marshal(event) //nolint:wrapcheck // strings only
}

// dated is the event with the time that a check counts as of: that of the latest connect known to the ledger or to Seam,
// else that of the account's making. Where the ledger knows an event, the rules see that one, so that a check gives what it
// gave.
func dated(ev seam.Event, account seam.Account, connectedAt time.Time, ledger Ledger) seam.Event {
	if ev.EventType != TypeCheck {
		return ev
	}
	latest := ledger.OccurredAt
	switch {
	case connectedAt.After(latest):
		latest = connectedAt
	case latest.IsZero():
		latest = account.CreatedAt
	default:
		ev.EventID, ev.Raw = ledger.EventID, ledger.event(account.ID)
	}
	if !latest.IsZero() {
		ev.OccurredAt = latest
	}
	return ev
}

// event is what the ledger knows of the latest event, as Seam sent it.
func (l Ledger) event(accountID string) map[string]any {
	when := l.OccurredAt.Format(time.RFC3339Nano)
	object := map[string]any{
		"event_id": l.EventID, "event_type": seam.TypeAccountConnected, "connected_account_id": accountID,
		"created_at": when, fieldOccurredAt: when,
	}
	if l.Latest != nil {
		object["connect_webview_id"] = l.Latest.ID
	}
	return object
}
