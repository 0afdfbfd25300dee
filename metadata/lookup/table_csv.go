package lookup

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
)

var byteOrderMark = []byte("\xef\xbb\xbf") // spreadsheets write one

// readCSV takes the first row as the names of the columns; every value is a text.
func readCSV(data []byte, key string) ([]record, error) {
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, byteOrderMark)))
	names, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the table is empty, want a row with the names of the columns")
	}
	if err != nil {
		return nil, csvError(err)
	}
	if err := checkColumns(names, key); err != nil {
		return nil, err
	}
	var records []record
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := reader.FieldPos(0)
		row := make(map[string]any, len(names))
		for i, name := range names {
			row[name] = fields[i]
		}
		found, err := keyOf(row, key, line)
		if err != nil {
			return nil, err
		}
		records = append(records, record{found, line, row})
	}
}

func checkColumns(names []string, key string) error {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return &rowError{1, fmt.Sprintf("two columns are named %q", name)}
		}
	}
	if !slices.Contains(names, key) {
		return &rowError{1, fmt.Sprintf("no column %q for the key", key)}
	}
	return nil
}

func csvError(err error) error {
	wrong, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		return errors.New("the table cannot be read as CSV")
	}
	return &rowError{wrong.Line, wrong.Err.Error()}
}
