package sandbox

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// params is the body of a call.
type params map[string]any

// parseParams takes an empty body for an empty object.
func parseParams(body []byte) (params, bool) {
	if len(bytes.TrimSpace(body)) == 0 {
		return params{}, true
	}
	var p params
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&p); err != nil || p == nil {
		return nil, false
	}
	return p, true
}

// issues are what is wrong with a call, in the words and the shape of zod, which Seam validates with.
type issues []issue

type issue struct {
	path    []string
	message string
}

func (is *issues) add(message string, path ...string) {
	*is = append(*is, issue{path, message})
}

// refusal is nil when there is nothing wrong.
func (is *issues) refusal() *refusal {
	if len(*is) == 0 {
		return nil
	}
	tree, words := map[string]any{"_errors": []string{}}, make([]string, 0, len(*is))
	for _, i := range *is {
		node := tree
		for _, step := range i.path {
			next, ok := node[step].(map[string]any)
			if !ok {
				next = map[string]any{"_errors": []string{}}
				node[step] = next
			}
			node = next
		}
		found, _ := node["_errors"].([]string)
		node["_errors"] = append(found, i.message)
		words = append(words, i.String())
	}
	message := strings.Join(words, ", ")
	if len(words) > 1 {
		message = fmt.Sprintf("%d Input Errors: %s", len(words), message)
	}
	return &refusal{Status: http.StatusBadRequest, Type: "invalid_input", Message: message, Validation: tree}
}

func (i issue) String() string {
	path := strings.Join(i.path, ".")
	switch {
	case path == "":
		return i.message
	case i.message == "Required":
		return path + " is required"
	default:
		return fmt.Sprintf("%s for %q", i.message, path)
	}
}

func (p params) required(field string, is *issues) string {
	if _, ok := p[field]; !ok {
		is.add("Required", field)
		return ""
	}
	return p.text(field, is)
}

func (p params) text(field string, is *issues) string {
	v, ok := p[field]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		is.add("Expected string, received "+kindOf(v), field)
	}
	return s
}

// texts is nil when the field is absent.
func (p params) texts(field string, is *issues) []string {
	v, ok := p[field]
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		is.add("Expected array, received "+kindOf(v), field)
		return nil
	}
	out := make([]string, 0, len(list))
	for i, el := range list {
		s, ok := el.(string)
		if !ok {
			is.add("Expected string, received "+kindOf(el), field, strconv.Itoa(i))
		}
		out = append(out, s)
	}
	return out
}

// number is at least least.
func (p params) number(field string, def, least int, is *issues) int {
	v, ok := p[field]
	if !ok {
		return def
	}
	n, err := strconv.Atoi(fmt.Sprint(v))
	if _, isNumber := v.(json.Number); !isNumber || err != nil {
		is.add("Expected number, received "+kindOf(v), field)
		return def
	}
	if n < least {
		is.add(fmt.Sprintf("Number must be greater than or equal to %d", least), field)
		return def
	}
	return n
}

func (p params) time(field string, is *issues) time.Time {
	s := p.text(field, is)
	if s == "" {
		return time.Time{}
	}
	return parseTime(s, field, is)
}

func parseTime(s, field string, is *issues) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		is.add("Must be parsable date string if defined", field)
	}
	return t
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		return "number"
	}
}

// page cuts one page out of a store. The cursor holds the query it belongs to: Seam refuses it with another one.
func page[T any](st *store[T], p params, query string, match func(*T) bool, is *issues) ([]*T, map[string]any, *refusal) {
	limit := p.number("limit", 500, 1, is)
	query = fmt.Sprint(limit, "|", query)
	from, no := p.cursor(query, is)
	if no == nil {
		no = is.refusal()
	}
	if no != nil {
		return nil, nil, no
	}
	found, next := []*T{}, any(nil)
	for _, it := range st.items {
		if it.seq < from || !match(it.val) {
			continue
		}
		if len(found) == limit {
			next = base64.StdEncoding.EncodeToString(encode([]any{query, it.seq}))
			break
		}
		found = append(found, it.val)
	}
	return found, map[string]any{"has_next_page": next != nil, "next_page_cursor": next, "next_page_url": nil}, nil
}

func (p params) cursor(query string, is *issues) (int, *refusal) {
	if p["page_cursor"] == nil {
		return 0, nil
	}
	raw, err := base64.StdEncoding.DecodeString(p.text("page_cursor", is))
	var parts []any
	if err != nil || json.Unmarshal(raw, &parts) != nil || len(parts) != 2 {
		is.add("Invalid page cursor", "page_cursor")
		return 0, nil
	}
	if parts[0] != query {
		return 0, &refusal{
			Status: http.StatusBadRequest, Type: "mismatched_page_parameters",
			Message: "When using next_page_cursor, the request must send parameters identical to the initial request.",
		}
	}
	seq, _ := parts[1].(float64)
	return int(seq), nil
}
