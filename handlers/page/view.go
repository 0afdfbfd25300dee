package page

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"seamtag/queue"
)

const (
	askRedis    = 5 * time.Second  // what bounds a page that asks Redis
	askSeam     = 25 * time.Second // one that asks Seam, or replays; the server's own limit is 30 s
	longestForm = 64 << 10         // bytes
)

// The parts of the navigation.
const (
	navOverview = "overview"
	navEvents   = "events"
	navDead     = "dead"
)

// answer is a page to render, or a place to go to instead.
type answer struct {
	status int    // 0: 200
	look   string // the template
	title  string
	nav    string // the current part of the navigation
	follow string // the path that live updates come from; empty: none
	data   any
	goTo   string
}

// view makes the answer for somebody who has a session.
type view func(r *http.Request, s *session) (answer, error)

// guarded lets in who has a session, and sends others to the login.
func (p *Page) guarded(limit time.Duration, show view) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := p.sessions.of(r)
		if s == nil {
			http.Redirect(w, r, loginFor(r), http.StatusSeeOther)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, longestForm)
		a, err := show(r, s)
		if err != nil {
			a = p.explain(r, err)
		}
		p.send(w, r, s, a)
	}
}

// loginFor is the login that leads back to a page that was asked for.
func loginFor(r *http.Request) string {
	if r.Method != http.MethodGet || r.URL.Path == "/" {
		return "/login"
	}
	return "/login?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
}

func (p *Page) send(w http.ResponseWriter, r *http.Request, s *session, a answer) {
	if a.goTo != "" {
		http.Redirect(w, r, a.goTo, http.StatusSeeOther)
		return
	}
	f := frame{
		Title: a.title, Nav: a.nav, Follow: a.follow, Role: p.o.Role, Version: p.o.Version, Style: p.assets.path("style.css"),
		Script: p.assets.path("page.js"), Icon: p.assets.path("icon.svg"), Data: a.data,
	}
	if s != nil {
		f.Inside, f.Logout = true, p.sessions.form(s, logoutAction)
	}
	body, err := p.looks.render(a.look, f)
	if err != nil {
		p.o.Log.Error().Err(err).Str("look", a.look).Msg("render a page")
		http.Error(w, "internal server error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(body) // the reader is gone: nobody to tell
}

// fault is an error that is the request's, and what the page says about it.
type fault struct {
	status        int
	Title, Detail string
}

func (f *fault) Error() string { return f.Title }

func refusal(status int, title, detail string) *fault { return &fault{status, title, detail} }

// explain is the page for an error. What Redis said goes to the log, not to the page.
func (p *Page) explain(r *http.Request, err error) answer {
	f := (*fault)(nil)
	switch {
	case errors.As(err, &f):
	case errors.Is(err, queue.ErrNotFound):
		f = refusal(http.StatusNotFound, "No such event", "Its id is not one of ours, or its retention is over.")
	case errors.Is(err, queue.ErrCursor):
		f = refusal(http.StatusBadRequest, "This is not a page of the list", "Start again from the newest events.")
	default:
		p.o.Log.Warn().Err(err).Str("path", r.Pattern).Msg("show a page")
		f = refusal(http.StatusServiceUnavailable, "Redis does not answer",
			"Nothing can be shown until it does. Events that were acknowledged are safe in it; new ones are refused, and Svix sends them again.")
	}
	return answer{status: f.status, look: "fault", title: f.Title, data: f}
}
