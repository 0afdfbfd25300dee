package seam

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

var errWrongObject = errors.New("the answer is about another object than was asked for")

// Account is a connected account.
type Account struct {
	ID          string
	CustomerKey string
	AccountType string
	DisplayName string // often an e-mail address: never log it
	CreatedAt   time.Time
	Metadata    Metadata       // custom_metadata, empty when Seam answers none
	Raw         map[string]any // the whole object, for rule expressions; numbers are json.Number
}

// UnmarshalJSON reads a connected account as Seam answers it.
func (a *Account) UnmarshalJSON(data []byte) error {
	o, err := readObject(data, "connected_account_id")
	if err != nil {
		return err
	}
	*a = Account{
		ID:          o.id,
		CustomerKey: o.text("customer_key"),
		AccountType: o.text("account_type"),
		DisplayName: o.text("display_name"),
		CreatedAt:   o.time("created_at"),
		Metadata:    o.metadata,
		Raw:         o.raw,
	}
	return nil
}

// Account reads one connected account. ErrNotFound when Seam says that there is none.
func (c *Client) Account(ctx context.Context, id string) (Account, error) {
	var answer struct {
		Account Account `json:"connected_account"`
	}
	const endpoint = "/connected_accounts/get"
	body := map[string]any{"connected_account_id": id}
	if err := c.call(ctx, endpoint, body, "connected_account", &answer); err != nil {
		return Account{}, err
	}
	// Writing what was read for another account would be worse than trying again.
	if !strings.EqualFold(answer.Account.ID, id) {
		return Account{}, &Error{Endpoint: endpoint, Status: 200, Err: errWrongObject}
	}
	return answer.Account, nil
}

// AccountQuery is one page of Accounts. Limit 0 is Seam's default; keep it the same from page to page.
type AccountQuery struct {
	Cursor string
	Limit  int
}

// AccountPage is one page; an empty NextCursor says that it is the last.
type AccountPage struct {
	Accounts   []Account
	NextCursor string
}

// Accounts lists the connected accounts of the workspace, page by page.
func (c *Client) Accounts(ctx context.Context, q AccountQuery) (AccountPage, error) {
	var answer struct {
		Accounts   []Account  `json:"connected_accounts"`
		Pagination pagination `json:"pagination"`
	}
	body := map[string]any{}
	setText(body, "page_cursor", q.Cursor)
	setNumber(body, "limit", q.Limit)
	if err := c.call(ctx, "/connected_accounts/list", body, "connected_accounts", &answer); err != nil {
		return AccountPage{}, err
	}
	return AccountPage{Accounts: answer.Accounts, NextCursor: answer.Pagination.next()}, nil
}

// UpdateMetadata replaces the whole custom_metadata of an account with md: send every key that shall be there
// afterwards. Only the status of the answer counts, its body differs between Seam's sources; read back to be sure.
func (c *Client) UpdateMetadata(ctx context.Context, id string, md Metadata) error {
	if md == nil {
		md = Metadata{} // null would be refused, an empty object empties
	}
	body := map[string]any{"connected_account_id": id, "custom_metadata": md}
	return c.call(ctx, "/connected_accounts/update", body, "", nil)
}

// object is what accounts and webviews have in common: an id and custom_metadata beside optional fields.
type object struct {
	id       string
	metadata Metadata
	raw      map[string]any
}

// readObject fails where going on could do harm: no id, or metadata of an unknown kind that would look empty.
func readObject(data []byte, idField string) (object, error) {
	var raw map[string]any
	if err := decodeNumbers(data, &raw); err != nil {
		return object{}, errors.New("an element is not an object")
	}
	o := object{raw: raw}
	o.id = o.text(idField)
	if o.id == "" {
		return object{}, errors.New(idField + " is missing")
	}
	md, ok := metadataOf(raw, "custom_metadata")
	if !ok {
		return object{}, errors.New("custom_metadata is not an object")
	}
	o.metadata = md
	return o, nil
}

func (o object) text(field string) string {
	s, _ := o.raw[field].(string)
	return s
}

// time is zero when the field is absent or unreadable: nothing decides by these timestamps.
func (o object) time(field string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, o.text(field))
	if err != nil {
		return time.Time{}
	}
	return t
}

// pagination follows a list. Seam's fake leaves it out where it does not page.
type pagination struct {
	HasNext    *bool           `json:"has_next_page"`
	NextCursor json.RawMessage `json:"next_page_cursor"`
}

func (p pagination) next() string {
	if p.HasNext != nil && !*p.HasNext {
		return ""
	}
	var cursor string
	if json.Unmarshal(p.NextCursor, &cursor) != nil {
		return "" // null, absent, or no cursor we could send back
	}
	return cursor
}

func setText(body map[string]any, field, value string) {
	if value != "" {
		body[field] = value
	}
}

func setNumber(body map[string]any, field string, value int) {
	if value > 0 {
		body[field] = value
	}
}
