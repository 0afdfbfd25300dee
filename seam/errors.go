package seam

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a caller branches on, by errors.Is. Every *Error is exactly one of them, unless the caller cancelled.
var (
	// ErrNotFound: Seam knows no such object. A 404 of anybody else (a proxy, a wrong endpoint) is ErrUnavailable.
	ErrNotFound = errors.New("seam: not found")
	// ErrUnauthorized: the key is wrong, or lacks its workspace. No call will work until that is mended.
	ErrUnauthorized = errors.New("seam: unauthorized")
	// ErrRateLimited: hold back for Error.RetryAfter.
	ErrRateLimited = errors.New("seam: rate limited")
	// ErrInvalid: Seam refuses what was sent and always will.
	ErrInvalid = errors.New("seam: invalid input")
	// ErrUnavailable: everything else. Trying later may help.
	ErrUnavailable = errors.New("seam: unavailable")

	errNotJSON     = errors.New("the answer is not JSON")
	errUnencodable = errors.New("a value cannot be written as JSON")
)

const (
	defaultRetryAfter = time.Second // of a 429 that does not say
	maxRetryAfter     = time.Hour
	maxValidation     = 50 // lines kept of one refusal
)

// Error is a call that did not do what was asked. Its text and its fields are safe to log: what Seam wrote is kept
// only after the metadata values we sent, the API key and e-mail addresses were taken out, and bodies that are not
// Seam's JSON are not kept at all.
type Error struct {
	Endpoint   string        // such as "/connected_accounts/get"
	Status     int           // 0: there was no answer
	Type       string        // Seam's error type, such as "invalid_input"
	Message    string        // Seam's words, redacted, at most 300 characters
	Validation []string      // "custom_metadata.key: message", sorted, redacted
	RequestID  string        // of the header seam-request-id
	RetryAfter time.Duration // 0: not said; at most an hour; a 429 always has one
	Err        error         // the transport or decoding cause
}

// Error reads like "seam: /connected_accounts/get: 404 connected_account_not_found (request id)".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("seam: " + e.Endpoint + ":")
	if e.Status != 0 {
		b.WriteString(" " + strconv.Itoa(e.Status))
	}
	if e.Type != "" {
		b.WriteString(" " + e.Type)
	}
	if detail := e.detail(); detail != "" {
		if e.Status != 0 {
			b.WriteString(":")
		}
		b.WriteString(" " + detail)
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

func (e *Error) detail() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case len(e.Validation) > 0:
		return truncate(strings.Join(e.Validation, "; "))
	case errors.Is(e.kind(), ErrNotFound):
		return "" // the type has said it
	default:
		return e.Message
	}
}

// Unwrap gives the cause, so that errors.Is finds context.Canceled.
func (e *Error) Unwrap() error { return e.Err }

// Is tells which of the five sentinels e is.
func (e *Error) Is(target error) bool {
	kind := e.kind()
	return kind != nil && kind == target
}

// kind is the one table that says what an answer means. nil: the caller cancelled, which is nobody's failure.
func (e *Error) kind() error {
	switch {
	case errors.Is(e.Err, context.Canceled):
		return nil
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return ErrUnauthorized
	case e.Status == http.StatusBadRequest && isCredentialType(e.Type):
		return ErrUnauthorized
	case e.Status == http.StatusTooManyRequests, errors.As(e.Err, new(HeldBack)):
		return ErrRateLimited
	case e.Status == http.StatusBadRequest && e.Type == typeInvalidInput:
		return ErrInvalid
	case e.Status == http.StatusNotFound && isObjectNotFound(e.Type):
		return ErrNotFound
	default:
		return ErrUnavailable
	}
}

const typeInvalidInput = "invalid_input"

// isCredentialType: these 400s are about the key. The second is what Seam's fake answers to an unknown key.
func isCredentialType(t string) bool {
	return t == "missing_workspace_id" || t == "invalid_client_session_token"
}

// isObjectNotFound leaves out what is said about the path or the workspace rather than about the object: an account
// must never be skipped because of a misrouted endpoint.
func isObjectNotFound(t string) bool {
	switch t {
	case "route_not_found", "endpoint_not_found", "path_not_found", "page_not_found", "workspace_not_found":
		return false
	}
	return strings.HasSuffix(t, "_not_found")
}

// parseRefusal reads {"error":{"type","message","validation_errors"},"ok":false}. A body of another form leaves the
// fields empty and says so in Err.
func parseRefusal(answer []byte, r redactor) *Error {
	var body struct {
		Error *struct {
			Type       string          `json:"type"`
			Message    string          `json:"message"`
			Validation json.RawMessage `json:"validation_errors"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer, &body); err != nil || body.Error == nil {
		return &Error{Err: errNotSeams(answer)}
	}
	return &Error{
		Type:       r.errorType(body.Error.Type),
		Message:    r.text(body.Error.Message),
		Validation: flatten(body.Error.Validation, r),
	}
}

func errNotSeams(answer []byte) error {
	switch {
	case len(answer) == 0:
		return errors.New("the answer is empty")
	case !json.Valid(answer):
		return errNotJSON
	default:
		return errors.New("the answer is not in Seam's form")
	}
}

// flatten turns {"custom_metadata":{"key":{"_errors":["too long"]}}} into "custom_metadata.key: too long", sorted.
func flatten(raw json.RawMessage, r redactor) []string {
	var tree map[string]any
	if json.Unmarshal(raw, &tree) != nil {
		return nil
	}
	lines := flattenInto(nil, "", tree, r)
	slices.Sort(lines)
	lines = slices.Compact(lines)
	return lines[:min(len(lines), maxValidation)]
}

func flattenInto(lines []string, path string, node any, r redactor) []string {
	switch v := node.(type) {
	case map[string]any:
		for key, child := range v {
			if key == "_errors" {
				lines = flattenInto(lines, path, child, r)
				continue
			}
			lines = flattenInto(lines, strings.TrimPrefix(path+"."+r.segment(key), "."), child, r)
		}
	case []any:
		for _, child := range v {
			lines = flattenInto(lines, path, child, r)
		}
	case string:
		lines = append(lines, truncate(strings.TrimPrefix(path+": "+r.text(v), ": ")))
	}
	return lines
}

// retryAfter reads seconds or an HTTP date. 0: absent, unreadable, or over.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(max(0, min(seconds, int64(maxRetryAfter/time.Second)))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), maxRetryAfter))
}

// requestID keeps what is an id and nothing else.
func requestID(header http.Header) string {
	id := header.Get("Seam-Request-Id")
	if len(id) > 100 || strings.ContainsFunc(id, func(r rune) bool { return !isIDRune(r) }) {
		return ""
	}
	return id
}

func isIDRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// noAnswer takes the URL out of what net/http says, and makes sure that a cancellation by the caller can be seen:
// net/http answers the cause of a context where it has one.
func noAnswer(ctx context.Context, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if cancelled := ctx.Err(); cancelled != nil && !errors.Is(err, cancelled) {
		return fmt.Errorf("no answer: %w: %w", cancelled, err)
	}
	return fmt.Errorf("no answer: %w", err)
}
