package lookup

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

var errTableShape = errors.New("want a list of objects, or an object of objects")

// jsonTable reads row by row, because only so lines and repeated names can be told.
type jsonTable struct {
	data    []byte
	decoder *json.Decoder
	line    int
	counted int64 // bytes whose line breaks are in line
}

func readJSONTable(data []byte, key string) ([]record, error) {
	table := &jsonTable{data: data, decoder: json.NewDecoder(bytes.NewReader(data)), line: 1}
	table.decoder.UseNumber()
	opening, err := table.decoder.Token()
	if err != nil {
		return nil, table.wrong("not JSON")
	}
	if opening != json.Delim('[') && opening != json.Delim('{') {
		return nil, errTableShape
	}
	var records []record
	for table.decoder.More() {
		next, err := table.next(opening == json.Delim('{'), key)
		if err != nil {
			return nil, err
		}
		records = append(records, next)
	}
	if _, err := table.decoder.Token(); err != nil {
		return nil, table.wrong("not JSON")
	}
	if _, err := table.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, table.wrong("more after the end of the table")
	}
	return records, nil
}

// next reads one row; in an object of objects its name is the key.
func (t *jsonTable) next(named bool, column string) (record, error) {
	r := record{line: t.here()}
	if named {
		name, err := t.decoder.Token()
		if err != nil {
			return record{}, t.wrong("not JSON")
		}
		r.key, _ = name.(string)
	}
	if err := t.decoder.Decode(&r.row); err != nil {
		return record{}, t.rowFault(err, r.line)
	}
	if r.row == nil {
		return record{}, &rowError{r.line, notAnObject}
	}
	if named {
		return r, nil
	}
	var err error
	r.key, err = keyOf(r.row, column, r.line)
	return r, err
}

func (t *jsonTable) rowFault(err error, line int) error {
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &rowError{line, notAnObject}
	}
	return t.wrong("not JSON")
}

// here is the line of what comes next.
func (t *jsonTable) here() int {
	offset := t.decoder.InputOffset()
	for offset < int64(len(t.data)) && strings.IndexByte(" \t\r\n,", t.data[offset]) >= 0 {
		offset++
	}
	t.line += bytes.Count(t.data[t.counted:offset], []byte("\n"))
	t.counted = offset
	return t.line
}

func (t *jsonTable) wrong(text string) error { return &rowError{t.here(), text} }
