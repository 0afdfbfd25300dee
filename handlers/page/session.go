package page

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"
)

const (
	sessionLasts = 12 * time.Hour
	idBytes      = 16
	payloadBytes = 8 + idBytes
	noteWithin   = time.Second // for Redis to say whether a session was ended
	// A browser takes a cookie with this prefix only from this very host over HTTPS: a neighbour cannot plant one.
	secureCookie = "__Host-seamtag"
	plainCookie  = "seamtag"
)

// session is somebody who showed the token. Its id was made here, at the login: none is ever taken over from a request.
type session struct {
	id      string
	expires time.Time
}

// sessions signs and checks cookies and forms. Any process with the same token knows them, without asking anybody.
type sessions struct {
	key   []byte
	notes Notes
	now   func() time.Time
}

func newSessions(token string, notes Notes, now func() time.Time) sessions {
	return sessions{key: sum([]byte(token), "seamtag page sessions, version 1"), notes: notes, now: now}
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// begin makes a session with an id of its own.
func (s sessions) begin(w http.ResponseWriter, r *http.Request) *session {
	var id [idBytes]byte
	_, _ = rand.Read(id[:]) // never fails
	expires := s.now().Add(sessionLasts).Truncate(time.Second)
	value := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix())) //nolint:gosec // not before 1970
	value = append(value, id[:]...)
	value = append(value, sum(s.key, "cookie "+string(value))...)
	s.set(w, r, base64.RawURLEncoding.EncodeToString(value), sessionLasts)
	return &session{id: base64.RawURLEncoding.EncodeToString(id[:]), expires: expires}
}

// end forgets the session in this browser, and remembers for all processes that it was ended.
func (s sessions) end(ctx context.Context, w http.ResponseWriter, r *http.Request, of *session) error {
	s.set(w, r, "", -time.Second)
	return s.notes.Note(ctx, noteOf(of), of.expires.Sub(s.now())+time.Minute)
}

func noteOf(of *session) string { return "session-ended:" + of.id }

func (s sessions) set(w http.ResponseWriter, r *http.Request, value string, lasts time.Duration) {
	name, secure := cookieOf(r)
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever a browser would take it: over HTTPS
		Name: name, Value: value, Path: "/", MaxAge: int(lasts.Seconds()), Secure: secure, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// cookieOf names the cookie. A proxy that ends TLS says so; who forges that header only hides the cookie from himself.
func cookieOf(r *http.Request) (name string, secure bool) {
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		return secureCookie, true
	}
	return plainCookie, false
}

// of is the session of a request, nil where there is none. While Redis does not answer, a signed session counts though it
// may have been ended: nothing can be read then.
func (s sessions) of(r *http.Request) *session {
	name, _ := cookieOf(r)
	c, err := r.Cookie(name)
	if err != nil {
		return nil
	}
	found := s.parse(c.Value)
	if found == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), noteWithin)
	defer cancel()
	if ended, err := s.notes.Noted(ctx, noteOf(found)); err == nil && ended {
		return nil
	}
	return found
}

func (s sessions) parse(value string) *session {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) != payloadBytes+sha256.Size {
		return nil
	}
	payload, mac := raw[:payloadBytes], raw[payloadBytes:]
	if !hmac.Equal(mac, sum(s.key, "cookie "+string(payload))) {
		return nil
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(payload)), 0) //nolint:gosec // signed by us
	if !s.now().Before(expires) {
		return nil
	}
	return &session{id: base64.RawURLEncoding.EncodeToString(payload[8:]), expires: expires}
}

// form is the token that a form for an action bears: it proves that this session was shown this very form.
func (s sessions) form(of *session, action string) string {
	return base64.RawURLEncoding.EncodeToString(sum(s.key, "form "+of.id+" "+action))
}

func (s sessions) showed(of *session, action, token string) bool {
	return hmac.Equal([]byte(token), []byte(s.form(of, action)))
}
