package metadata

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"seamtag/seam"
)

// Plain is a decoded value as expressions can compute with it: numbers as numbers, as far as no digit is lost. It changes
// nothing in place, and hands on as it is what holds no number.
func Plain(value any) any {
	better, _ := plain(value)
	return better
}

func plain(value any) (better any, changed bool) {
	switch v := value.(type) {
	case json.Number:
		return number(v), true
	case seam.Metadata:
		better, _ = plainObject(v)
		return better, true
	case map[string]any:
		return plainObject(v)
	case []any:
		return plainList(v)
	default:
		return value, false
	}
}

func plainObject(object map[string]any) (any, bool) {
	var copied map[string]any
	for key, item := range object {
		better, changed := plain(item)
		if !changed {
			continue
		}
		if copied == nil {
			copied = maps.Clone(object)
		}
		copied[key] = better
	}
	if copied == nil {
		return object, false
	}
	return copied, true
}

func plainList(list []any) (any, bool) {
	var copied []any
	for i, item := range list {
		better, changed := plain(item)
		if !changed {
			continue
		}
		if copied == nil {
			copied = append(copied, list...)
		}
		copied[i] = better
	}
	if copied == nil {
		return list, false
	}
	return copied, true
}

// number is an int, or a float that has the same digits; else it stays text, which a tag shows as it is.
func number(n json.Number) any {
	text := n.String()
	if i, err := strconv.Atoi(text); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return n
	}
	const exact = 15 // digits that every float64 keeps
	digits := 0
	for _, r := range strings.TrimLeft(text, "-0.") {
		if r == 'e' || r == 'E' {
			break
		}
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	if digits > exact {
		return n
	}
	return f
}
