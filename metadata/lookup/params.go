package lookup

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
)

// normalize brings parameters to the kinds that sources know: string, bool, int64, float64, json.Number and time.Time.
// missing reports a null among them. Lists and maps are refused, because no system takes them as one value.
func normalize(params []any) (values []any, missing bool, err error) {
	values = make([]any, len(params))
	for i, param := range params {
		if param == nil {
			return nil, true, nil
		}
		value, ok := scalar(param)
		if !ok {
			return nil, false, permanent("", "parameter %d is a %s, want a text, a number, true or false, or a time", i+1, kindName(param))
		}
		values[i] = value
	}
	return values, false, nil
}

func scalar(param any) (any, bool) {
	switch value := param.(type) {
	case string, bool, int64, json.Number, time.Time:
		return value, true
	case float64:
		return value, !math.IsNaN(value) && !math.IsInf(value, 0)
	}
	value := reflect.ValueOf(param)
	switch {
	case value.CanInt():
		return value.Int(), true
	case value.CanUint() && value.Uint() <= math.MaxInt64:
		return int64(value.Uint()), true //nolint:gosec // checked in the line above
	case value.CanUint():
		return json.Number(strconv.FormatUint(value.Uint(), 10)), true
	case value.CanFloat():
		return scalar(value.Float())
	case value.Kind() == reflect.String:
		return value.String(), true
	}
	return nil, false
}

func kindName(param any) string {
	switch reflect.ValueOf(param).Kind() {
	case reflect.Map, reflect.Struct:
		return "map"
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Float32, reflect.Float64:
		return "number without a value"
	default:
		return "value of an unknown kind"
	}
}

// text is a scalar as a URL, a header, a Redis key and a table key show it: numbers in decimal without exponent, times as
// RFC 3339.
func text(param any) string {
	switch value := param.(type) {
	case string:
		return value
	case bool:
		return strconv.FormatBool(value)
	case int64:
		return strconv.FormatInt(value, 10)
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case json.Number:
		return value.String()
	case time.Time:
		return value.Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(value)
	}
}

// fingerprint identifies a list of parameters in a fixed number of bytes, however long they are. Kind and length go before
// each value, so that two different lists never share one.
func fingerprint(params []any) [sha256.Size]byte {
	buffer := make([]byte, 0, 128)
	for _, param := range params {
		shown := text(param)
		buffer = append(buffer, kindTag(param))
		buffer = binary.AppendUvarint(buffer, uint64(len(shown)))
		buffer = append(buffer, shown...)
	}
	return sha256.Sum256(buffer)
}

func kindTag(param any) byte {
	switch param.(type) {
	case string:
		return 's'
	case bool:
		return 'b'
	case int64:
		return 'i'
	case float64:
		return 'f'
	case json.Number:
		return 'n'
	default:
		return 't'
	}
}
