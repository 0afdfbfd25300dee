package handlers

import (
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// NewServer puts a handler behind limits that a client who sends slowly, or for ever, runs into. Its own complaints go
// to the log. The caller gives the listener and may set Addr.
func NewServer(h http.Handler, logger zerolog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second, // Svix gives up after 15 s
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(complaints(logger), "", 0),
	}
}

// complaints are net/http's: failed accepts and the like, with addresses in them and nothing of a request.
type complaints zerolog.Logger

func (c complaints) Write(p []byte) (int, error) {
	logger := zerolog.Logger(c)
	logger.Warn().Str("http", strings.TrimSpace(string(p))).Msg("the HTTP server complains")
	return len(p), nil
}
