package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"seamtag/queue"
)

// Preview is what work on an account would do now.
type Preview struct {
	Writes  bool
	Problem string // what stands in the way; empty where nothing does
	Keys    []Key
	Lookups []Lookup
}

// previewView is a preview as the page shows it.
type previewView struct {
	Account string
	Writes  bool
	Problem string
	Changes []keyChange // of keys that would not stay as they are
	Kept    []keyChange
	Lookups []Lookup
	None    string // why there is no preview
}

// preview asks what work would do: on an account as such, or on one of its events.
func (p *Page) preview(ctx context.Context, account string, event []byte, reveal bool) previewView {
	v := previewView{Account: account}
	switch {
	case account == "":
		v.None = "The event names no account."
		return v
	case p.o.Preview == nil:
		v.None = "Not available in this role: this process does not speak to Seam."
		return v
	}
	told, err := p.o.Preview(ctx, account, event)
	switch {
	case errors.Is(err, ErrUnknown):
		v.None = "Seam does not know this account."
		return v
	case err != nil:
		p.o.Log.Warn().Err(err).Str("account_id", account).Msg("compute a difference for the page")
		v.None = "Unknown: " + err.Error()
		return v
	}
	v.Writes, v.Problem, v.Lookups = told.Writes, told.Problem, told.Lookups
	for i := range told.Keys {
		c := told.Keys[i].shown(reveal, absent)
		if c.What == keyKept {
			v.Kept = append(v.Kept, c)
		} else {
			v.Changes = append(v.Changes, c)
		}
	}
	return v
}

// accountView is one account.
type accountView struct {
	ID       string
	Entries  []queue.Entry
	Older    string
	Preview  previewView
	Ledger   string
	NoLedger string
	Reveal   bool
}

// account shows an account's history, what is remembered of it, and how it differs from what the rules want now.
func (p *Page) account(r *http.Request, _ *session) (answer, error) {
	id := r.URL.Query().Get("id")
	if id == "" {
		return answer{goTo: "/events"}, nil
	}
	s := search{Account: id, filter: queue.Filter{Key: id}}
	page, err := p.o.Queue.List(r.Context(), s.filter, "", listed)
	if err != nil {
		return answer{}, err
	}
	v := accountView{ID: id, Entries: page.Entries, Reveal: r.URL.Query().Get("show") == "all"}
	if page.Next != "" {
		q := s.values()
		q.Set("cursor", page.Next)
		v.Older = q.Encode()
	}
	if v.Reveal {
		p.o.Log.Info().Str("account_id", id).Msg("the values of an account were shown in full on the page")
	}
	v.Preview = p.preview(r.Context(), id, nil, v.Reveal)
	v.Ledger, v.NoLedger = p.ledger(r.Context(), id, v.Reveal)
	status := http.StatusOK
	if len(v.Entries) == 0 && v.Ledger == "" {
		status = http.StatusNotFound
	}
	return answer{status: status, look: "account", title: "Account", nav: navEvents, data: v}, nil
}

func (p *Page) ledger(ctx context.Context, id string, reveal bool) (text, none string) {
	raw, err := p.o.Queue.State(ctx, id)
	switch {
	case err == nil && raw == nil:
		return "", "Nothing is remembered: no event of this account has been dealt with."
	case err != nil:
		p.o.Log.Warn().Err(err).Str("account_id", id).Msg("read what is remembered of an account")
		return "", "Unknown."
	}
	if !reveal {
		raw = maskJSON(raw, func(object map[string]any) any { return maskPersonal("", object) })
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return "", "Unknown: what was kept cannot be read."
	}
	return out.String(), ""
}
