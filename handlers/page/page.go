package page

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"seamtag/queue"
)

// Events is what the page reads.
type Events interface {
	Entry(ctx context.Context, id string) (queue.Entry, error)
	List(ctx context.Context, f queue.Filter, cursor string, limit int) (queue.Page, error)
	Stats(ctx context.Context) (queue.Stats, error)
	Timeline(ctx context.Context, from time.Time, step time.Duration, n int) ([]queue.Bucket, error)
}

// Replayer puts ended events back to work.
type Replayer interface {
	Replay(ctx context.Context, ids ...string) (int, error)
	ReplayMatching(ctx context.Context, f queue.Filter, o queue.ReplayOptions) (queue.Replayed, error)
}

// Memory is what is kept beside the events.
type Memory interface {
	State(ctx context.Context, key string) ([]byte, error)
	LastGapCheck(ctx context.Context) (queue.GapCheck, bool, error)
}

// Notes remembers for all processes which sessions were ended before their time.
type Notes interface {
	Note(ctx context.Context, name string, keep time.Duration) error
	Noted(ctx context.Context, name string) (bool, error)
}

// Queue is all of that: a *queue.Queue.
type Queue interface {
	Events
	Replayer
	Memory
	Notes
}

// Options are what the page shows and what it stands on. A nil func is a part that this role cannot tell: the page says so.
type Options struct {
	// Token is the admin token: sessions and forms are signed with a key made from it. Changing it ends all sessions.
	Token string
	// Admit checks a token that was typed in, in constant time, and holds back who guesses; wait is how long.
	Admit func(r *http.Request, token string) (ok bool, wait time.Duration)

	Queue Queue
	// Problems are what readiness says of this process and its Redis: sentences for the operator.
	Problems func(ctx context.Context) []string
	// Preview computes what work would do now, on an account or on one of its events (nil: the account as such), and writes
	// nothing; ErrUnknown where Seam knows no such account.
	Preview func(ctx context.Context, account string, event []byte) (Preview, error)
	// Calls counts this process's calls to Seam since it started.
	Calls func(ctx context.Context) (Calls, error)

	Role, Version string
	Retention     time.Duration
	// Stopping ends live updates when it is closed, so that a stop need not wait for them.
	Stopping <-chan struct{}
	Log      zerolog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// ErrUnknown is what the funcs of Options answer where there is nothing to tell.
var ErrUnknown = errors.New("not known")

// Calls counts calls to Seam.
type Calls struct{ All, Failed int64 }

// Rate is the part of the calls that failed, in percent.
func (c *Calls) Rate() string {
	return strconv.FormatFloat(100*float64(c.Failed)/float64(max(c.All, 1)), 'f', 1, 64) + " %"
}

// Page is the operator's page, as an http.Handler of its routes.
type Page struct {
	o        Options
	mux      *http.ServeMux
	sessions sessions
	origins  *http.CrossOriginProtection
	looks    looks
	assets   assets
	charts   [2]*chartCache
	live     *live
}

// New returns the page, or an error naming the option that is missing.
func New(o Options) (*Page, error) {
	if o.Token == "" || o.Admit == nil || o.Queue == nil || o.Problems == nil {
		return nil, errors.New("page: a token, its check, a queue and its problems are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	static, err := newAssets()
	if err != nil {
		return nil, err
	}
	looks, err := newLooks(o.Now)
	if err != nil {
		return nil, err
	}
	p := &Page{
		o: o, mux: http.NewServeMux(), looks: looks, assets: static,
		sessions: newSessions(o.Token, o.Queue, o.Now), origins: http.NewCrossOriginProtection(),
		charts: [2]*chartCache{newChartCache(lastHour), newChartCache(lastDay)},
		live:   newLive(o.Queue, o.Stopping),
	}
	for pattern, handler := range p.routes() {
		p.mux.HandleFunc(pattern, handler)
	}
	return p, nil
}

// routes are what the page answers.
func (p *Page) routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}":                     p.guarded(askRedis, p.overview),
		"GET /login":                   p.loginForm,
		"POST /login":                  p.sameSite(p.login),
		"POST /logout":                 p.sameSite(p.logout),
		"GET /events":                  p.guarded(askRedis, p.events),
		"GET /events/{id}":             p.guarded(askRedis, p.event),
		"GET /dead":                    p.guarded(askRedis, p.dead),
		"GET /account":                 p.guarded(askSeam, p.account),
		"GET /replay":                  p.guarded(askSeam, p.replayForm),
		"POST /replay":                 p.sameSite(p.guarded(askSeam, p.replay)),
		"GET /live":                    p.stream,
		"GET /assets/{version}/{name}": p.assets.serve,
	}
}

// Routes lists what the page answers, as patterns of net/http.
func (p *Page) Routes() []string { return slices.Sorted(maps.Keys(p.routes())) }

// ServeHTTP answers with the headers that keep a page to itself.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("X-Robots-Tag", "noindex")
	p.mux.ServeHTTP(w, r)
}
