package handlers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// The paths answered here; Seam's webhook is registered with the first, the platform's checks with the others.
const (
	WebhookPath = "/webhooks/seam"
	LivePath    = "/livez"
	ReadyPath   = "/readyz"
)

// Options say what the process answers.
type Options struct {
	// Webhook is nil in a role without ingress; its path then answers 404.
	Webhook *WebhookOptions
	// Page is nil where browsers are shown nothing; its paths then answer 404.
	Page Page
	// Admin is nil where there is no admin token; all of it then answers 404.
	Admin *AdminOptions
	// Health computes readiness; needed. It is called once at a time.
	Health func(ctx context.Context) Health
	// HealthTimeout is after how long an unfinished Health counts as not ready. Default: 3 s.
	HealthTimeout time.Duration
	// Role and Version are shown by readiness.
	Role, Version string
	// TrustFlyClientIP takes the client's address from Fly-Client-IP. Set it behind Fly's proxy only: anybody can
	// send the header.
	TrustFlyClientIP bool
	// Log takes a line a request: webhooks at info, health at debug, failures of ours at warn.
	Log zerolog.Logger
	// Registerer takes the metrics. Default: they are counted and shown nowhere.
	Registerer prometheus.Registerer
}

// New returns the handler for all of it, or an error naming the option that is wrong.
func New(o Options) (http.Handler, error) {
	if o.Health == nil {
		return nil, errors.New("handlers: no health function given")
	}
	if o.HealthTimeout == 0 {
		o.HealthTimeout = 3 * time.Second
	}
	e := echo.New()
	e.HTTPErrorHandler = answerError
	e.Use(noteRoute)
	e.GET(LivePath, live)
	e.GET(ReadyPath, newCheckup(o).ready)
	if o.Webhook != nil {
		w, err := newWebhook(*o.Webhook, o.Registerer)
		if err != nil {
			return nil, err
		}
		e.POST(WebhookPath, w.receive)
	}
	if o.Page != nil {
		mountPage(e, o.Page)
	}
	if o.Admin != nil {
		a, err := newAdmin(*o.Admin)
		if err != nil {
			return nil, err
		}
		a.register(e)
	}
	return newDoor(e, o), nil
}

// problem is the body of every answer that is an error.
type problem struct {
	Error string `json:"error"`
}

// answerError answers what the handlers and the router return as errors. Texts other than an HTTPError's own stay inside.
func answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status := http.StatusInternalServerError
	if he := (*echo.HTTPError)(nil); errors.As(err, &he) {
		status = he.Code
	} else {
		visitOf(c).err = err
	}
	_ = c.JSON(status, problem{strings.ToLower(http.StatusText(status))}) // the client is gone: nobody to tell
}
