package handlers

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"
)

// door stands before the router and does once for every request what a row of middlewares would do: request id, security
// headers, recovery from a panic, one line in the log. It is plain net/http, so that a visit costs no map and no copy of
// the request.
type door struct {
	router   http.Handler
	log      zerolog.Logger
	trustFly bool
	visits   sync.Pool

	nosniff, noStore []string // header values shared by all answers, never changed
}

func newDoor(router http.Handler, o Options) *door {
	return &door{
		router:   router,
		log:      o.Log,
		trustFly: o.TrustFlyClientIP,
		visits:   sync.Pool{New: func() any { return new(visit) }},
		nosniff:  []string{"nosniff"},
		noStore:  []string{"no-store"},
	}
}

// visit is one request on its way: the response writer, and what the log will say about it.
type visit struct {
	http.ResponseWriter

	status    int
	route     string // the template, never the path as sent
	requestID string
	remote    string // the client's address
	messageID string
	entryID   string
	traceID   string
	outcome   string
	err       error // why a 5xx
}

// WriteHeader notes the status for the log.
func (v *visit) WriteHeader(status int) {
	if v.status == 0 {
		v.status = status
	}
	v.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// visitOf finds the visit: the router is reached through the door alone, and nothing between wraps the writer.
func visitOf(c echo.Context) *visit {
	return c.Response().Writer.(*visit) //nolint:forcetypeassert // see above; otherwise it is a bug worth a panic
}

// noteRoute tells the log which route answered.
func noteRoute(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		visitOf(c).route = c.Path()
		return next(c)
	}
}

// ServeHTTP lets a request in and logs it when it is through.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	v := d.visits.Get().(*visit) //nolint:forcetypeassert // the pool holds nothing else
	*v = visit{ResponseWriter: w, requestID: requestID(r.Header), remote: d.remote(r)}
	h := w.Header()
	h["X-Content-Type-Options"] = d.nosniff
	h["Cache-Control"] = d.noStore
	h["X-Request-Id"] = []string{v.requestID}
	d.serve(v, r)
	d.note(v, r, time.Since(began))
	*v = visit{}
	d.visits.Put(v)
}

// serve turns a panic into a 500. The value of a panic may hold anything, so only the runtime's own are logged.
func (d *door) serve(v *visit, r *http.Request) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(value) // net/http's own way to drop a connection
		}
		d.log.Error().Str("request_id", v.requestID).Str("panic", panicText(value)).
			Bytes("stack", debug.Stack()).Msg("a handler panicked")
		if v.status == 0 {
			v.Header().Set("Content-Type", "application/json")
			v.WriteHeader(http.StatusInternalServerError)
			_, _ = v.Write([]byte(`{"error":"internal server error"}` + "\n")) // the client is gone: nobody to tell
		}
	}()
	d.router.ServeHTTP(v, r)
}

func panicText(value any) string {
	if err, ok := value.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a %T", value)
}

// note writes the line. No query, no header values, no payload.
func (d *door) note(v *visit, r *http.Request, took time.Duration) {
	line := d.log.WithLevel(level(v))
	line.Str("method", method(r.Method)).Str("path", v.route).Int("status", v.status).Dur("took", took).
		Str("request_id", v.requestID).Str("remote", v.remote)
	if v.outcome != "" {
		line.Str("outcome", v.outcome)
	}
	if v.messageID != "" {
		line.Str("message_id", v.messageID)
	}
	if v.entryID != "" {
		line.Str("entry_id", v.entryID)
	}
	if v.traceID != "" {
		line.Str("trace_id", v.traceID)
	}
	line.Err(v.err).Msg("request")
}

// level is that of the request's line.
func level(v *visit) zerolog.Level {
	switch {
	case v.status >= http.StatusInternalServerError && v.route != ReadyPath:
		return zerolog.WarnLevel
	case v.outcome != "":
		return zerolog.InfoLevel
	default:
		return zerolog.DebugLevel
	}
}

// method is the request's, unless it is free text.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	}
	return "other"
}

// remote is the client's address without its port.
func (d *door) remote(r *http.Request) string {
	if d.trustFly {
		if ip, err := netip.ParseAddr(r.Header.Get("Fly-Client-IP")); err == nil {
			return ip.WithZone("").String()
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

const longestRequestID = 64

// requestID takes over an id that is a plain word, and makes one otherwise: it is logged and sent back.
func requestID(h http.Header) string {
	if in := h["X-Request-Id"]; len(in) == 1 && isWord(in[0]) {
		return in[0]
	}
	return rand.Text()
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && !('0' <= c && c <= '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= longestRequestID
}
