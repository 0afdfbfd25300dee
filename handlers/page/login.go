package page

import (
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

const logoutAction = "logout"

// loginView is what the login shows.
type loginView struct {
	Next    string
	Problem string
}

func (p *Page) loginForm(w http.ResponseWriter, r *http.Request) {
	next := ownPath(r.URL.Query().Get("next"))
	if p.sessions.of(r) != nil {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // ownPath leaves nothing but a path of this host
		return
	}
	p.send(w, r, nil, answer{look: "login", title: "Sign in", data: loginView{Next: next}})
}

// login begins a session for who knows the token.
func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, longestForm)
	if err := r.ParseForm(); err != nil {
		p.send(w, r, nil, p.explain(r, badForm()))
		return
	}
	next := ownPath(r.PostForm.Get("next"))
	ok, wait := p.o.Admit(r, r.PostForm.Get("token"))
	if !ok {
		p.refuseLogin(w, r, next, wait)
		return
	}
	p.sessions.begin(w, r)
	p.o.Log.Info().Msg("somebody signed in to the page")
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // ownPath leaves nothing but a path of this host
}

func (p *Page) refuseLogin(w http.ResponseWriter, r *http.Request, next string, wait time.Duration) {
	a := answer{status: http.StatusUnauthorized, look: "login", title: "Sign in"}
	v := loginView{Next: next, Problem: "That is not the admin token."}
	if wait > 0 {
		seconds := int(wait.Seconds()) + 1
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		a.status, v.Problem = http.StatusTooManyRequests, "Too many wrong tokens from your address. Try again in "+strconv.Itoa(seconds)+" s."
	}
	a.data = v
	p.send(w, r, nil, a)
}

// logout ends the session in every process, whatever becomes of the note about it: the cookie is gone.
func (p *Page) logout(w http.ResponseWriter, r *http.Request) {
	s := p.sessions.of(r)
	r.Body = http.MaxBytesReader(w, r.Body, longestForm)
	if s != nil && !p.sessions.showed(s, logoutAction, r.PostFormValue("form")) {
		p.send(w, r, s, p.explain(r, forgedForm()))
		return
	}
	if s != nil {
		if err := p.sessions.end(r.Context(), w, r, s); err != nil {
			p.o.Log.Warn().Err(err).Msg("remember that a session of the page was ended")
		}
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// SignedIn tells whether a request comes from who has signed in, and not from another site's page in his browser.
func (p *Page) SignedIn(r *http.Request) bool {
	return p.origins.Check(r) == nil && p.sessions.of(r) != nil
}

// sameSite refuses what another site's page sent in this browser's name.
func (p *Page) sameSite(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := p.origins.Check(r); err != nil {
			p.send(w, r, nil, p.explain(r, forgedForm()))
			return
		}
		next(w, r)
	}
}

func badForm() *fault {
	return refusal(http.StatusBadRequest, "This form cannot be read", "Go back and send it again.")
}

func forgedForm() *fault {
	return refusal(http.StatusForbidden, "This form was not shown to you",
		"Nothing was changed. Open the page again and use the form there; it may have been shown before you signed in.")
}

// ownPath is where to go after the login: a path of this page, never another host.
func ownPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil ||
		!strings.HasPrefix(next, "/") || strings.ContainsAny(next, "\\\r\n\t") || path.Clean(u.Path) != u.Path {
		return "/"
	}
	if strings.HasPrefix(u.Path, "//") {
		return "/"
	}
	return u.RequestURI()
}
