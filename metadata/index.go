package metadata

import (
	"context"
	"fmt"
	"time"

	"seamtag/seam"
)

const (
	indexLife  = time.Minute
	indexPage  = 500
	indexPages = 40 // 20 000 webviews, at about 150 bytes each
)

// webviewIndex answers which webview connected an account last, out of the list of all webviews: Seam's list has no
// filter by account. One reading serves every account that asks within a minute.
type webviewIndex struct {
	seam Seam
	now  func() time.Time

	turn   chan struct{} // held by the one that reads the list, or reads the fields below
	readAt time.Time
	last   map[string]login // by account id
}

type login struct {
	webviewID string
	at        time.Time
}

func newWebviewIndex(s Seam, now func() time.Time) *webviewIndex {
	return &webviewIndex{seam: s, now: now, turn: make(chan struct{}, 1)}
}

// newest is the webview that connected the account last; an empty id when the list has none.
func (x *webviewIndex) newest(ctx context.Context, accountID string) (webviewID string, at time.Time, err error) {
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return "", time.Time{}, fmt.Errorf("wait for the list of webviews: %w", ctx.Err())
	}
	if x.last == nil || x.now().Sub(x.readAt) >= indexLife {
		last, err := x.read(ctx)
		if err != nil {
			return "", time.Time{}, err
		}
		x.last, x.readAt = last, x.now()
	}
	found := x.last[accountID]
	return found.webviewID, found.at, nil
}

// read pages through the list. It ends early at a cursor that does not move.
func (x *webviewIndex) read(ctx context.Context) (map[string]login, error) {
	last := map[string]login{}
	cursor := ""
	for range indexPages {
		page, err := x.seam.Webviews(ctx, seam.WebviewQuery{Cursor: cursor, Limit: indexPage})
		if err != nil {
			return nil, fmt.Errorf("list webviews: %w", err)
		}
		for i := range page.Webviews {
			note(last, &page.Webviews[i])
		}
		if page.NextCursor == "" || page.NextCursor == cursor {
			break
		}
		cursor = page.NextCursor
	}
	return last, nil
}

func note(last map[string]login, w *seam.Webview) {
	if w.AccountID == "" {
		return
	}
	at := w.AuthorizedAt
	if at.IsZero() {
		at = w.CreatedAt
	}
	if known, ok := last[w.AccountID]; !ok || at.After(known.at) {
		last[w.AccountID] = login{webviewID: w.ID, at: at}
	}
}
