package lookup

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

var errNotJSON = errors.New("not JSON")

// decodeJSON reads exactly one JSON value; numbers stay json.Number, so that no digit of a long id is lost.
func decodeJSON(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, errNotJSON
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotJSON
	}
	return value, nil
}

// part walks a dotted path such as "data.items.0" into a decoded value. ok is false when there is no such part or it is
// null; an empty path is the value itself.
func part(value any, path string) (found any, ok bool) {
	if path != "" {
		for name := range strings.SplitSeq(path, ".") {
			value = member(value, name)
		}
	}
	return value, value != nil
}

func member(value any, name string) any {
	switch container := value.(type) {
	case map[string]any:
		return container[name]
	case []any:
		index, err := strconv.Atoi(name)
		if err != nil || index < 0 || index >= len(container) {
			return nil
		}
		return container[index]
	default:
		return nil
	}
}
