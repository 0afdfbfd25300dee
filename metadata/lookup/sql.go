package lookup

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	systemSQL         = "sql"
	defaultSQLTimeout = 5 * time.Second
	defaultPool       = 4
	endTimeout        = time.Second
)

// SQLOptions describe one query.
type SQLOptions struct {
	Driver  string        // postgres, mysql (MariaDB too) or sqlite
	DSN     string        // as the driver takes it: a URL, user:password@tcp(host)/database, or a file and ?settings
	Query   string        // one statement; $1 … (postgres) or ? … (mysql, sqlite) are bound to the parameters
	Timeout time.Duration // after which the server itself ends the query, 5 s by default; give the Lookup's timeout
	Pool    int           // connections at most, 4 by default; give the Lookup's concurrency
}

// SQL asks a database for one row. The session or the transaction is read-only where the database can do that: that is
// the guard, the query is not parsed. A database user who may only read is still the better lock.
type SQL struct {
	db      *sql.DB
	dialect dialect
	query   string
}

var _ Source = (*SQL)(nil)

// dialect is what differs between the databases.
type dialect struct {
	begin func(timeout time.Duration) string // run before the query, empty for none; then "rollback" runs after it
	param func(any) any                      // how a parameter is bound
	fault func(error) *Error                 // describes an error of the database, or nil when it is none
	open  func(dsn string, timeout time.Duration) (*sql.DB, error)
	start string
}

// NewSQL checks the options; nothing is asked yet.
func NewSQL(o SQLOptions) (*SQL, error) {
	dialects := map[string]dialect{"postgres": postgres(), "mysql": mysqlDialect(), "sqlite": sqlite()}
	chosen, ok := dialects[o.Driver]
	if !ok {
		return nil, fmt.Errorf("sql: driver %q: want postgres, mysql or sqlite", o.Driver)
	}
	if o.Query == "" {
		return nil, errors.New("sql: query is empty")
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultSQLTimeout
	}
	if o.Pool <= 0 {
		o.Pool = defaultPool
	}
	db, err := chosen.open(o.DSN, o.Timeout)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(o.Pool)
	db.SetMaxIdleConns(o.Pool)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(30 * time.Minute)
	if chosen.begin != nil {
		chosen.start = chosen.begin(o.Timeout)
	}
	return &SQL{db: db, dialect: chosen, query: o.Query}, nil
}

// Ask runs the query and returns its first row: column → string, int64, float64, bool, time.Time or nil. No row is
// ErrMissing.
func (s *SQL) Ask(ctx context.Context, params []any) (any, error) {
	bound := make([]any, len(params))
	for i, param := range params {
		bound[i] = s.dialect.param(param)
	}
	row, err := s.ask(ctx, bound)
	if err == nil {
		return row, nil
	}
	return nil, s.describe(ctx, err)
}

func (s *SQL) ask(ctx context.Context, bound []any) (row map[string]any, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // Ask describes it
	}
	defer conn.Close() //nolint:errcheck // gives the connection back; a broken one is replaced by the pool
	if s.dialect.start != "" {
		if _, err := conn.ExecContext(ctx, s.dialect.start); err != nil {
			return nil, err //nolint:wrapcheck // Ask describes it
		}
		defer rollback(ctx, conn)
	}
	rows, err := conn.QueryContext(ctx, s.query, bound...)
	if err != nil {
		return nil, err //nolint:wrapcheck // Ask describes it
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return firstRow(rows)
}

// rollback ends the read-only transaction, or else throws the connection away, so that the next ask finds a clean one.
func rollback(ctx context.Context, conn *sql.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "rollback"); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// firstRow reads one row. Two columns of one name are refused, because a rule could not say which it means.
func firstRow(rows *sql.Rows) (map[string]any, error) {
	columns, err := rows.ColumnTypes()
	if err != nil {
		return nil, err //nolint:wrapcheck // Ask describes it
	}
	row := make(map[string]any, len(columns))
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i, column := range columns {
		if _, twice := row[column.Name()]; twice {
			return nil, permanent(systemSQL, "two columns are named %q, name one with AS", column.Name())
		}
		row[column.Name()], targets[i] = nil, &values[i]
	}
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return nil, err //nolint:wrapcheck // Ask describes it
		}
		return nil, ErrMissing
	}
	if err := rows.Scan(targets...); err != nil {
		return nil, permanent(systemSQL, "a column of a kind that cannot be read")
	}
	for i, column := range columns {
		row[column.Name()] = columnValue(values[i], column.DatabaseTypeName())
	}
	return row, nil
}

// columnValue brings what drivers scan to the kinds that Ask promises.
func columnValue(value any, typeName string) any {
	switch value := value.(type) {
	case []byte:
		return string(value)
	case float32:
		return widen(value)
	case float64:
		if typeName == "FLOAT4" { // PostgreSQL's, which its driver has widened already
			return widen(float32(value))
		}
		return value
	default:
		narrow, ok := scalar(value)
		if number, isNumber := narrow.(json.Number); isNumber {
			return number.String() // an unsigned number over the range of int64
		}
		if ok {
			return narrow
		}
		return value
	}
}

// widen goes by way of the shortest text, so that 0.1 stays 0.1.
func widen(value float32) float64 {
	wide, err := strconv.ParseFloat(strconv.FormatFloat(float64(value), 'g', -1, 32), 64)
	if err != nil {
		return float64(value)
	}
	return wide
}

// describe turns an error into one that can be shown: drivers repeat DSN and values in theirs.
func (s *SQL) describe(ctx context.Context, err error) error {
	if lookupErr, ok := errors.AsType[*Error](err); ok {
		return lookupErr
	}
	if errors.Is(err, ErrMissing) {
		return ErrMissing
	}
	// A query that the context ended fails in as many ways as there are drivers.
	if ctx.Err() != nil {
		return connectionFault(systemSQL, "the database", ctx.Err())
	}
	if fault := s.dialect.fault(err); fault != nil {
		return fault
	}
	if errors.Is(err, driver.ErrBadConn) {
		return &Error{System: systemSQL, Kind: Transport, Detail: "connection failed to the database"}
	}
	if fault := connectionFault(systemSQL, "the database", err); fault != nil {
		return fault
	}
	return permanent(systemSQL, "the query or its parameters are not accepted by the driver")
}

// Close closes the connections.
func (s *SQL) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close the pool: %w", err)
	}
	return nil
}
