package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"seamtag/queue"
)

const (
	defaultLimit = 50
	mostLimit    = 500
	longestQuery = 64 << 10 // bytes of a replay's body
)

// query is what a list is asked for.
type query struct {
	filter queue.Filter
	cursor string
	limit  int
}

// parameters are those of GET /api/events, each with what it does to the query.
func parameters() map[string]func(q *query, text string) error {
	return map[string]func(q *query, text string) error{
		"status":     func(q *query, text string) error { return oneStatus(&q.filter.Status, text, queue.Statuses()) },
		"account":    func(q *query, text string) error { q.filter.Key = text; return nil },
		"reason":     func(q *query, text string) error { q.filter.Reason = text; return nil },
		"type":       func(q *query, text string) error { q.filter.Type = text; return nil },
		"event_id":   func(q *query, text string) error { q.filter.EventID = text; return nil },
		"message_id": func(q *query, text string) error { q.filter.MessageID = text; return nil },
		"since":      func(q *query, text string) error { return oneTime(&q.filter.Since, text) },
		"until":      func(q *query, text string) error { return oneTime(&q.filter.Until, text) },
		"cursor":     func(q *query, text string) error { q.cursor = text; return nil },
		"limit": func(q *query, text string) (err error) {
			if q.limit, err = strconv.Atoi(text); err != nil || q.limit < 1 || q.limit > mostLimit {
				return fmt.Errorf("want a number from 1 to %d", mostLimit)
			}
			return nil
		},
	}
}

// parseQuery reads a list's query. An empty value is as if it were not there; an unknown name is refused, as a filter that
// is not heeded lists, or replays, what nobody asked for.
func parseQuery(values url.Values) (query, error) {
	q := query{limit: defaultLimit}
	known := parameters()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		set, ok := known[name]
		if !ok {
			return q, fmt.Errorf("%q is no parameter: there are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if len(values[name]) > 1 {
			return q, fmt.Errorf("%s: given more than once", name)
		}
		if text := values.Get(name); text != "" {
			if err := set(&q, text); err != nil {
				return q, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return q, nil
}

func oneStatus(s *queue.Status, text string, of []queue.Status) error {
	if *s = queue.Status(text); slices.Contains(of, *s) {
		return nil
	}
	words := make([]string, len(of))
	for i, w := range of {
		words[i] = string(w)
	}
	return fmt.Errorf("want one of %s", strings.Join(words, ", "))
}

// oneTime reads a time, and nothing from an empty text.
func oneTime(t *time.Time, text string) error {
	if text == "" {
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if parsed, err := time.Parse(layout, text); err == nil {
			*t = parsed
			return nil
		}
	}
	return errors.New("want a time such as 2026-11-23T12:00:00Z, or a day such as 2026-11-23 (UTC)")
}

// replayQuery is what a replay is asked for.
type replayQuery struct {
	filter queue.Filter
	dryRun bool
}

// replayRequest is the body of POST /api/replays.
type replayRequest struct {
	Since   string `json:"since"`
	Until   string `json:"until"`
	Status  string `json:"status"`
	Account string `json:"account"`
	Reason  string `json:"reason"`
	Type    string `json:"type"`
	DryRun  bool   `json:"dry_run"`
}

// parseReplay reads a replay's body: one JSON object, its keys those of a list's parameters, each of which may be missing.
func parseReplay(body io.Reader) (replayQuery, error) {
	in, err := decodeReplay(body)
	if err != nil {
		return replayQuery{}, fmt.Errorf("body: %w", err)
	}
	q := replayQuery{filter: queue.Filter{Key: in.Account, Reason: in.Reason, Type: in.Type}, dryRun: in.DryRun}
	if in.Status != "" {
		ended := slices.DeleteFunc(queue.Statuses(), func(s queue.Status) bool { return !s.Ended() })
		if err := oneStatus(&q.filter.Status, in.Status, ended); err != nil {
			return q, fmt.Errorf("status: %w: only what has ended can be replayed", err)
		}
	}
	if err := oneTime(&q.filter.Since, in.Since); err != nil {
		return q, fmt.Errorf("since: %w", err)
	}
	if err := oneTime(&q.filter.Until, in.Until); err != nil {
		return q, fmt.Errorf("until: %w", err)
	}
	return q, nil
}

func decodeReplay(body io.Reader) (in replayRequest, err error) {
	text, err := io.ReadAll(io.LimitReader(body, longestQuery+1))
	if err != nil || len(text) > longestQuery {
		return in, errors.New("not received in full, or longer than 64 KiB")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return in, fmt.Errorf("want a JSON object such as {\"status\":\"dead\",\"dry_run\":true}: %s", said(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return in, errors.New("there is more than one JSON object")
	}
	return in, nil
}

// said is what the decoder says, without its own name and without what it read.
func said(err error) string {
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s: want a %s", bad.Field, bad.Type)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}
