package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"seamtag/queue"
)

// AdminPath is the root of the admin API.
const AdminPath = "/api"

const (
	adminReadWithin   = 10 * time.Second
	adminReplayWithin = 25 * time.Second // between two batches; below the server's WriteTimeout
)

// Events is what the admin API shows and changes.
type Events interface {
	Entry(ctx context.Context, id string) (queue.Entry, error)
	List(ctx context.Context, f queue.Filter, cursor string, limit int) (queue.Page, error)
	Stats(ctx context.Context) (queue.Stats, error)
	Replay(ctx context.Context, ids ...string) (int, error)
	ReplayMatching(ctx context.Context, f queue.Filter, o queue.ReplayOptions) (queue.Replayed, error)
}

// AdminOptions say who may use the admin API, and on what.
type AdminOptions struct {
	// Admission knows the token that a request bears.
	Admission *Admission
	// SignedIn tells whether a request without a token comes from who has signed in to the page. Default: nobody has.
	SignedIn func(r *http.Request) bool
	// Events is the queue. Its errors are answered 503.
	Events Events
}

type admin struct {
	admission *Admission
	signedIn  func(r *http.Request) bool
	events    Events
}

func newAdmin(o AdminOptions) (*admin, error) {
	if o.Admission == nil || o.Events == nil {
		return nil, errors.New("handlers: the admin API needs an admission and events")
	}
	return &admin{admission: o.Admission, signedIn: o.SignedIn, events: o.Events}, nil
}

// register puts every route behind the token. Not as a group's: Echo would then answer 404 to a wrong method.
func (a *admin) register(e *echo.Echo) {
	e.GET(AdminPath+"/events", a.list, a.admit)
	e.GET(AdminPath+"/events/:id", a.show, a.admit)
	e.POST(AdminPath+"/events/:id/replay", a.replayOne, a.admit)
	e.POST(AdminPath+"/replays", a.replay, a.admit)
	e.GET(AdminPath+"/stats", a.stats, a.admit)
	e.GET(AdminPath+"/openapi.json", openAPI, a.admit)
}

// What the log says of requests to the admin API that it should not miss.
const (
	outcomeBadToken = "bad_token"
	outcomeHeldBack = "held_back"
	outcomeReplayed = "replayed"
)

// admit lets in who bears the token, or has signed in to the page with it.
func (a *admin) admit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		token := bearer(c.Request().Header)
		if token == "" && a.signedIn != nil && a.signedIn(c.Request()) {
			return next(c)
		}
		if token == "" {
			return refuse(c, "authorization: a bearer token is needed, the server's ADMIN_TOKEN")
		}
		v := visitOf(c)
		ok, wait := a.admission.Try(v.remote, token)
		switch {
		case wait > 0:
			v.outcome = outcomeHeldBack
			c.Response().Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
			return c.JSON(http.StatusTooManyRequests, problem{"authorization: too many wrong tokens from this address"})
		case !ok:
			v.outcome = outcomeBadToken
			return refuse(c, "authorization: not the server's ADMIN_TOKEN")
		}
		return next(c)
	}
}

func refuse(c echo.Context, text string) error {
	c.Response().Header().Set("WWW-Authenticate", `Bearer realm="seamtag"`)
	return c.JSON(http.StatusUnauthorized, problem{text})
}

// bearer is the token of an Authorization header; empty where there is none.
func bearer(h http.Header) string {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// eventList answers GET /api/events.
type eventList struct {
	Events     []Event `json:"events"`
	NextCursor string  `json:"next_cursor"`
}

func (a *admin) list(c echo.Context) error {
	q, err := parseQuery(c.QueryParams())
	if err != nil {
		return badRequest(c, err)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), adminReadWithin)
	defer cancel()
	page, err := a.events.List(ctx, q.filter, q.cursor, q.limit)
	if errors.Is(err, queue.ErrCursor) {
		return badRequest(c, errors.New("cursor: not one that this list gave"))
	}
	if err != nil {
		return redisAway(c, err)
	}
	answer := eventList{Events: make([]Event, len(page.Entries)), NextCursor: page.Next}
	for i := range page.Entries {
		answer.Events[i] = NewEvent(&page.Entries[i])
	}
	return c.JSON(http.StatusOK, answer)
}

func (a *admin) show(c echo.Context) error {
	e, err := a.entry(c)
	if err != nil {
		return notFoundOrAway(c, err)
	}
	return c.JSON(http.StatusOK, NewEvent(&e))
}

func (a *admin) entry(c echo.Context) (queue.Entry, error) {
	ctx, cancel := context.WithTimeout(c.Request().Context(), adminReadWithin)
	defer cancel()
	return a.events.Entry(ctx, c.Param("id"))
}

// Replays is how many ended events matched a replay, and how many of them were put back to work.
type Replays struct {
	Matched  int  `json:"matched"`
	Replayed int  `json:"replayed"`
	DryRun   bool `json:"dry_run"`
}

func (a *admin) replayOne(c echo.Context) error {
	e, err := a.entry(c)
	if err != nil {
		return notFoundOrAway(c, err)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), adminReadWithin)
	defer cancel()
	n, err := a.events.Replay(ctx, e.EntryID)
	if err != nil {
		return notFoundOrAway(c, err)
	}
	if n == 0 {
		return c.JSON(http.StatusConflict, problem{"the event has not ended, so there is nothing to replay: its status is " + string(e.Status)})
	}
	v := visitOf(c)
	v.outcome, v.entryID = outcomeReplayed, e.EntryID
	return c.JSON(http.StatusOK, Replays{Matched: 1, Replayed: n})
}

func (a *admin) replay(c echo.Context) error {
	q, err := parseReplay(c.Request().Body)
	if err != nil {
		return badRequest(c, err)
	}
	v := visitOf(c)
	if !q.dryRun {
		v.outcome = outcomeReplayed
	}
	o := queue.ReplayOptions{DryRun: q.dryRun}
	if !q.dryRun {
		connection := http.NewResponseController(v)
		o.After = func(queue.Replayed) error {
			// As long as it moves, the answer may come later than a server's answers must.
			if err := connection.SetWriteDeadline(time.Now().Add(adminReplayWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return fmt.Errorf("extend the time to answer: %w", err)
			}
			return nil
		}
	}
	r, err := a.events.ReplayMatching(c.Request().Context(), q.filter, o)
	if err != nil {
		v.err = err
		return c.JSON(http.StatusServiceUnavailable, problem{
			fmt.Sprintf("stopped after %d of %d events: redis does not answer; send it again to go on", r.Replayed, r.Matched),
		})
	}
	return c.JSON(http.StatusOK, Replays{Matched: r.Matched, Replayed: r.Replayed, DryRun: q.dryRun})
}

// statistics answers GET /api/stats: retained events by status, in one flat object, and what they wait for.
type statistics struct {
	Queued        int64             `json:"queued"`
	Retrying      int64             `json:"retrying"`
	Tagged        int64             `json:"tagged"`
	Unchanged     int64             `json:"unchanged"`
	Skipped       int64             `json:"skipped"`
	Dead          int64             `json:"dead"`
	Waiting       int64             `json:"waiting"`        // queued and retrying
	Due           int64             `json:"due"`            // of these, what waits for its time
	OldestSeconds *float64          `json:"oldest_seconds"` // age of the oldest that waits; null where none does
	Reasons       []reasonCount     `json:"reasons"`
	Paused        *queue.PauseState `json:"paused"` // null while the workers work
}

type reasonCount struct {
	Status queue.Status `json:"status"`
	Reason string       `json:"reason"`
	Count  int64        `json:"count"`
}

func (a *admin) stats(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), adminReadWithin)
	defer cancel()
	s, err := a.events.Stats(ctx)
	if err != nil {
		return redisAway(c, err)
	}
	answer := statistics{
		Queued: max(0, s.Waiting-s.Retrying), Retrying: s.Retrying, Tagged: s.Ended[queue.Tagged], Unchanged: s.Ended[queue.Unchanged],
		Skipped: s.Ended[queue.Skipped], Dead: s.Ended[queue.Dead], Waiting: s.Waiting, Due: s.Due, Paused: s.Paused,
		Reasons: make([]reasonCount, len(s.Reasons)),
	}
	if !s.Oldest.IsZero() {
		age := max(0, time.Since(s.Oldest).Seconds())
		answer.OldestSeconds = &age
	}
	for i, r := range s.Reasons {
		answer.Reasons[i] = reasonCount(r)
	}
	return c.JSON(http.StatusOK, answer)
}

func badRequest(c echo.Context, err error) error {
	return c.JSON(http.StatusBadRequest, problem{err.Error()})
}

func notFoundOrAway(c echo.Context, err error) error {
	if errors.Is(err, queue.ErrNotFound) {
		return c.JSON(http.StatusNotFound, problem{"there is no such event: it never was, or the retention has passed"})
	}
	return redisAway(c, err)
}

func redisAway(c echo.Context, err error) error {
	visitOf(c).err = err
	c.Response().Header().Set("Retry-After", retryAfter)
	return c.JSON(http.StatusServiceUnavailable, problem{"redis does not answer: try again"})
}
