package lookup

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	sqlitedriver "modernc.org/sqlite"
)

func sqlite() dialect {
	return dialect{open: openSQLite, param: mysqlParam, fault: sqliteFault}
}

// openSQLite opens the file read-only, and query_only also guards databases that a query attaches.
func openSQLite(dsn string, timeout time.Duration) (*sql.DB, error) {
	file, rawQuery, _ := strings.Cut(strings.TrimPrefix(dsn, "file:"), "?")
	if file == "" || strings.Contains(file, ":memory:") {
		return nil, errors.New("sql: the dsn of sqlite is a file")
	}
	settings, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, errors.New("sql: the dsn is not valid for sqlite, want a file, perhaps with ?name=value")
	}
	settings.Set("mode", "ro")
	settings["_pragma"] = append(settings["_pragma"],
		fmt.Sprintf("busy_timeout(%d)", max(1, timeout.Milliseconds())), "query_only(1)")
	if !strings.HasPrefix(dsn, "file:") {
		// A plain path is not a URI yet: its own signs must not be read as one's.
		file = (&url.URL{Path: file}).EscapedPath()
	}
	connector, err := sqlitedriver.NewConnector("file:" + file + "?" + settings.Encode())
	if err != nil {
		return nil, errors.New("sql: the dsn is not valid for sqlite, want a file, perhaps with ?name=value")
	}
	return sql.OpenDB(connector), nil
}

// sqliteFault shows the result code and, for what is wrong with the query itself, what it is.
// Codes: https://www.sqlite.org/rescode.html.
func sqliteFault(err error) *Error {
	sqliteErr, ok := errors.AsType[*sqlitedriver.Error](err)
	if !ok {
		return nil
	}
	fault := &Error{System: systemSQL, Detail: fmt.Sprintf("sqlite %d", sqliteErr.Code())}
	switch sqliteErr.Code() & 0xff {
	case 1:
		fault.Detail += sqliteWords(sqliteErr.Error())
	case 5, 6:
		fault.Kind, fault.Detail = Unavailable, fault.Detail+" the file is locked"
	case 8:
		fault.Detail += " the query writes, and the session is read-only"
	case 9:
		fault.Kind, fault.Detail = Timeout, fault.Detail+" ended after the timeout"
	case 14:
		fault.Kind, fault.Detail = Unavailable, fault.Detail+" the file cannot be opened"
	}
	return fault
}

func sqliteWords(message string) string {
	for _, words := range []string{"no such table", "no such column", "no such function", "syntax error"} {
		if strings.Contains(message, words) {
			return " " + words
		}
	}
	return ""
}
