package page

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"seamtag/queue"
)

const listed = 50

// search is what the list of events is narrowed by, as the query of its page says.
type search struct {
	Account, Status, Reason, Type, Since, Until string
	filter                                      queue.Filter
}

// formTime is how a browser sends the time of an input of type datetime-local. Here it is UTC.
const formTime = "2006-01-02T15:04"

// readSearch reads the fields of a search. A value that is none is a fault that names the field.
func readSearch(q url.Values) (search, error) {
	s := search{
		Account: q.Get("account"), Status: q.Get("status"), Reason: q.Get("reason"), Type: q.Get("type"),
		Since: q.Get("since"), Until: q.Get("until"),
	}
	s.filter = queue.Filter{Key: s.Account, Status: queue.Status(s.Status), Reason: s.Reason, Type: s.Type}
	if s.Status != "" && !slices.Contains(queue.Statuses(), s.filter.Status) {
		return s, refusal(http.StatusBadRequest, "There is no such status", "Choose one of the list.")
	}
	var err error
	if s.filter.Since, err = readTime(s.Since); err != nil {
		return s, err
	}
	s.filter.Until, err = readTime(s.Until)
	return s, err
}

func readTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{formTime, "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, refusal(http.StatusBadRequest, "This is not a time", "Write it as 2026-11-23T15:04, in UTC.")
}

// Query is the search as the query of a URL.
func (s search) Query() string { return s.values().Encode() }

func (s search) values() url.Values {
	q := url.Values{}
	for field, value := range map[string]string{
		"account": s.Account, "status": s.Status, "reason": s.Reason, "type": s.Type, "since": s.Since, "until": s.Until,
	} {
		if value != "" {
			q.Set(field, value)
		}
	}
	return q
}

// Before is the time that the search ends at.
func (s search) Before() time.Time { return s.filter.Until }

// Any says whether the search narrows anything.
func (s search) Any() bool { return len(s.values()) > 0 }

// eventsView is the list of events.
type eventsView struct {
	Search  search
	Entries []queue.Entry
	Older   string // the query of the next page, empty at the end
	First   bool   // of the list's pages
}

// events lists events, newest first. A search for an id leads to its event, else it is taken for an account's.
func (p *Page) events(r *http.Request, _ *session) (answer, error) {
	q := r.URL.Query()
	if id := q.Get("q"); id != "" {
		return p.find(r, id)
	}
	s, err := readSearch(q)
	if err != nil {
		return answer{}, err
	}
	page, err := p.o.Queue.List(r.Context(), s.filter, q.Get("cursor"), listed)
	if err != nil {
		return answer{}, err
	}
	v := eventsView{Search: s, Entries: page.Entries, First: q.Get("cursor") == ""}
	if page.Next != "" {
		older := s.values()
		older.Set("cursor", page.Next)
		v.Older = older.Encode()
	}
	a := answer{look: "events", title: "Events", nav: navEvents, data: v}
	if v.First {
		a.follow = "/live"
	}
	return a, nil
}

// find leads to the event with this entry, message or event id. What is none is taken for an account.
func (p *Page) find(r *http.Request, id string) (answer, error) {
	e, err := p.o.Queue.Entry(r.Context(), id)
	if err == nil {
		return answer{goTo: "/events/" + e.EntryID}, nil
	}
	if !errors.Is(err, queue.ErrNotFound) {
		return answer{}, err
	}
	for _, f := range []queue.Filter{{MessageID: id}, {EventID: id}} {
		page, err := p.o.Queue.List(r.Context(), f, "", 1)
		if err != nil {
			return answer{}, err
		}
		if len(page.Entries) > 0 {
			return answer{goTo: "/events/" + page.Entries[0].EntryID}, nil
		}
	}
	return answer{goTo: "/account?" + url.Values{"id": {id}}.Encode()}, nil
}
