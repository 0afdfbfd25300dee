package metadata

import (
	"context"
	"errors"
	"fmt"
	"time"

	"seamtag/seam"
)

// beforeSeam is a beginning for /events/list, which demands one, that no event is older than.
var beforeSeam = time.Date(2015, time.January, 1, 0, 0, 0, 0, time.UTC)

// maxEvents is one page of /events/list: no account is connected more often.
const maxEvents = 500

// resolved is the webview of an event: found, named but gone, or neither.
type resolved struct {
	webview *seam.Webview
	at      time.Time // when it connected the account; zero: when the event says
	gone    bool
}

// resolve finds the webview of an event: the one it names, else that of the account's newest login, else the one that
// the ledger remembers (which needs no call, and is not repeated here), else the newest of the workspace's list.
func (t *Tagger) resolve(ctx context.Context, ev seam.Event, ledger Ledger) (resolved, error) {
	if ev.ConnectWebviewID != "" {
		return t.webview(ctx, ev.ConnectWebviewID, time.Time{})
	}
	id, at, err := t.newestLogin(ctx, ev.ConnectedAccountID)
	if err != nil {
		return resolved{}, err
	}
	if id == "" && ledger.Latest == nil {
		if id, at, err = t.webviews.newest(ctx, ev.ConnectedAccountID); err != nil {
			return resolved{}, err
		}
	}
	if id == "" {
		return resolved{}, nil
	}
	return t.webview(ctx, id, at)
}

func (t *Tagger) webview(ctx context.Context, id string, at time.Time) (resolved, error) {
	webview, err := t.seam.Webview(ctx, id)
	if errors.Is(err, seam.ErrNotFound) {
		return resolved{gone: true}, nil
	}
	if err != nil {
		return resolved{}, fmt.Errorf("read webview: %w", err)
	}
	return resolved{webview: &webview, at: at}, nil
}

// newestLogin asks Seam's events for the webview through which the account was connected last.
func (t *Tagger) newestLogin(ctx context.Context, accountID string) (webviewID string, at time.Time, err error) {
	events, err := t.seam.Events(ctx, seam.EventQuery{
		AccountID: accountID, Type: seam.TypeLoginSucceeded, Since: beforeSeam, Limit: maxEvents,
	})
	if errors.Is(err, seam.ErrNotFound) {
		return "", time.Time{}, nil
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("list events: %w", err)
	}
	for _, ev := range events {
		// A server that ignores a filter must not lead to another account's webview.
		ours := ev.EventType == seam.TypeLoginSucceeded && ev.ConnectedAccountID == accountID && ev.ConnectWebviewID != ""
		if ours && (webviewID == "" || ev.OccurredAt.After(at)) {
			webviewID, at = ev.ConnectWebviewID, ev.OccurredAt
		}
	}
	return webviewID, at, nil
}
