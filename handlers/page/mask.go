package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// masked stands for a value that is not shown until asked for.
const masked = "••••••"

// plainFields are the fields of an event that name things and not people. All others are masked.
var plainFields = map[string]bool{
	"event_id": true, "event_type": true, "workspace_id": true, "created_at": true, "occurred_at": true,
	"connected_account_id": true, "connect_webview_id": true, "device_id": true, "error_code": true, "warning_code": true,
}

// payload is an event's body as the page shows it: indented, with every value masked whose field is not known to be plain.
func payload(body []byte, reveal bool) string {
	if !json.Valid(body) {
		if reveal {
			return string(body)
		}
		return fmt.Sprintf("%s (%d bytes that are not JSON)", masked, len(body))
	}
	if !reveal {
		body = maskJSON(body, maskEvent)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		return masked // cannot happen: it is valid
	}
	return out.String()
}

// maskJSON masks an object, and what is none as a whole.
func maskJSON(body []byte, mask func(map[string]any) any) []byte {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return []byte(`"` + masked + `"`)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the template escapes
	if err := enc.Encode(mask(object)); err != nil {
		return []byte(`"` + masked + `"`) // cannot happen: it came out of JSON
	}
	return out.Bytes()
}

// maskEvent leaves the plain fields, where they are text.
func maskEvent(event map[string]any) any {
	for field, v := range event {
		if _, text := v.(string); !plainFields[field] || !text {
			event[field] = maskLeaves(v)
		}
	}
	return event
}

// maskLeaves keeps the shape of a value: field names, and how many.
func maskLeaves(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for field, inner := range v {
			v[field] = maskLeaves(inner)
		}
		return v
	case []any:
		for i, inner := range v {
			v[i] = maskLeaves(inner)
		}
		return v
	case nil:
		return nil
	}
	return masked
}

// maskPersonal masks the texts that look personal, as shown does.
func maskPersonal(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for field, inner := range v {
			v[field] = maskPersonal(field, inner)
		}
		return v
	case []any:
		for i, inner := range v {
			v[i] = maskPersonal(key, inner)
		}
		return v
	case string:
		return shown(key, v, false)
	}
	return v
}

var personalWords = []string{"email", "mail", "phone", "name", "address", "birth", "password", "secret", "token"}

// shown is a metadata value as the page shows it: text in quotes, a word for the rest; masked where its key or the value
// itself looks personal.
func shown(key string, value any, reveal bool) string {
	text, isText := value.(string)
	if !reveal && isText && (strings.Contains(text, "@") || isPersonal(key)) {
		return masked
	}
	if isText {
		return text
	}
	out, err := json.Marshal(value)
	if err != nil {
		return masked // cannot happen: it came out of JSON
	}
	return string(out)
}

func isPersonal(key string) bool {
	key = strings.ToLower(key)
	for _, word := range personalWords {
		if strings.Contains(key, word) {
			return true
		}
	}
	return false
}
