package seam

import (
	"context"
	"strings"
	"time"
)

// Webview is a Connect Webview, the page on which an account was connected.
type Webview struct {
	ID           string
	AccountID    string // the account it connected, empty before
	CustomerKey  string
	Status       string // pending, authorized or failed
	CreatedAt    time.Time
	AuthorizedAt time.Time      // zero before
	Metadata     Metadata       // custom_metadata, empty when Seam answers none
	Raw          map[string]any // the whole object, for rule expressions; numbers are json.Number
}

// UnmarshalJSON reads a Connect Webview as Seam answers it.
func (w *Webview) UnmarshalJSON(data []byte) error {
	o, err := readObject(data, "connect_webview_id")
	if err != nil {
		return err
	}
	*w = Webview{
		ID:           o.id,
		AccountID:    o.text("connected_account_id"),
		CustomerKey:  o.text("customer_key"),
		Status:       o.text("status"),
		CreatedAt:    o.time("created_at"),
		AuthorizedAt: o.time("authorized_at"),
		Metadata:     o.metadata,
		Raw:          o.raw,
	}
	return nil
}

// Webview reads one Connect Webview. ErrNotFound when Seam says that there is none.
func (c *Client) Webview(ctx context.Context, id string) (Webview, error) {
	var answer struct {
		Webview Webview `json:"connect_webview"`
	}
	const endpoint = "/connect_webviews/get"
	body := map[string]any{"connect_webview_id": id}
	if err := c.call(ctx, endpoint, body, "connect_webview", &answer); err != nil {
		return Webview{}, err
	}
	if !strings.EqualFold(answer.Webview.ID, id) {
		return Webview{}, &Error{Endpoint: endpoint, Status: 200, Err: errWrongObject}
	}
	return answer.Webview, nil
}

// WebviewQuery is one page of Webviews. Limit 0 is Seam's default; keep the rest the same from page to page.
type WebviewQuery struct {
	Cursor      string
	Limit       int
	CustomerKey string // empty: all
}

// WebviewPage is one page; an empty NextCursor says that it is the last.
type WebviewPage struct {
	Webviews   []Webview
	NextCursor string
}

// Webviews lists the Connect Webviews of the workspace, page by page. Seam has no filter by account.
func (c *Client) Webviews(ctx context.Context, q WebviewQuery) (WebviewPage, error) {
	var answer struct {
		Webviews   []Webview  `json:"connect_webviews"`
		Pagination pagination `json:"pagination"`
	}
	body := map[string]any{}
	setText(body, "page_cursor", q.Cursor)
	setText(body, "customer_key", q.CustomerKey)
	setNumber(body, "limit", q.Limit)
	if err := c.call(ctx, "/connect_webviews/list", body, "connect_webviews", &answer); err != nil {
		return WebviewPage{}, err
	}
	return WebviewPage{Webviews: answer.Webviews, NextCursor: answer.Pagination.next()}, nil
}
