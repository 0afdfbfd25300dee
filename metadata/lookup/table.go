package lookup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxTable bounds a table file in bytes: it lives in memory.
const maxTable = 64 << 20

const notAnObject = "the row is not an object"

// TableOptions name a file of rows. A CSV file has a header row; a JSON or YAML file holds a list of objects, or an object
// of objects whose names are the keys.
type TableOptions struct {
	File   string
	Key    string // the column that a parameter is looked for in; not needed for an object of objects
	Format string // csv, json or yaml; by the file's ending by default
}

// Table answers from a file read once. A changed file is a new Table. It needs no cache: give its Lookup a negative one.
type Table struct {
	rows map[string]map[string]any
}

var _ Source = (*Table)(nil)

// record is one row of a file, with the place to name when it is wrong.
type record struct {
	key  string
	line int
	row  map[string]any
}

// rowError is what is wrong on one line of a table.
type rowError struct {
	line int
	text string
}

func (e *rowError) Error() string { return e.text }

// NewTable reads the file. Errors name file and line, never a value.
func NewTable(o TableOptions) (*Table, error) {
	read, err := tableReader(o)
	if err != nil {
		return nil, err
	}
	data, err := readTable(o.File)
	if err != nil {
		return nil, err
	}
	records, err := read(data, o.Key)
	if err == nil {
		var rows map[string]map[string]any
		if rows, err = index(records); err == nil {
			return &Table{rows: rows}, nil
		}
	}
	if wrong, ok := errors.AsType[*rowError](err); ok {
		return nil, fmt.Errorf("%s:%d: %w", o.File, wrong.line, err)
	}
	return nil, fmt.Errorf("%s: %w", o.File, err)
}

func tableReader(o TableOptions) (func([]byte, string) ([]record, error), error) {
	format := o.Format
	if format == "" {
		format = strings.TrimPrefix(strings.ToLower(filepath.Ext(o.File)), ".")
	}
	switch format {
	case "csv":
		return readCSV, nil
	case "json":
		return readJSONTable, nil
	case "yaml", "yml":
		return readYAML, nil
	default:
		return nil, fmt.Errorf("%s: format %q: want csv, json or yaml", o.File, format)
	}
}

func readTable(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	if info.Size() > maxTable {
		return nil, fmt.Errorf("%s: the table is over %d MiB", file, maxTable>>20)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read table: %w", err)
	}
	return data, nil
}

// index refuses a key that two rows have.
func index(records []record) (map[string]map[string]any, error) {
	rows := make(map[string]map[string]any, len(records))
	lines := make(map[string]int, len(records))
	for _, r := range records {
		if first, twice := lines[r.key]; twice {
			return nil, &rowError{r.line, fmt.Sprintf("the key is already on line %d", first)}
		}
		rows[r.key], lines[r.key] = r.row, r.line
	}
	return rows, nil
}

// keyOf finds a row's key.
func keyOf(row map[string]any, column string, line int) (string, error) {
	if column == "" {
		return "", errors.New("the table needs key: the name of the column to look in")
	}
	value, ok := row[column]
	if !ok {
		return "", &rowError{line, fmt.Sprintf("no column %q", column)}
	}
	key, ok := scalar(value)
	if !ok {
		return "", &rowError{line, fmt.Sprintf("column %q is not a text, a number, true or false", column)}
	}
	return text(key), nil
}

// Ask returns the row whose key is the one parameter, compared as text: 7 finds "7".
func (t *Table) Ask(_ context.Context, params []any) (any, error) {
	if len(params) != 1 {
		return nil, permanent("table", "%d values, want one: the key", len(params))
	}
	row, ok := t.rows[text(params[0])]
	if !ok {
		return nil, ErrMissing
	}
	return row, nil
}

// Close has nothing to give back.
func (t *Table) Close() error { return nil }
