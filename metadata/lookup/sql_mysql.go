package lookup

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// unknownVariable is the error number of a server that lacks a setting.
const unknownVariable = 1193

func mysqlDialect() dialect {
	return dialect{open: openMySQL, param: mysqlParam, fault: mysqlFault}
}

func openMySQL(dsn string, timeout time.Duration) (*sql.DB, error) {
	config, err := mysqlConfig(dsn)
	if err != nil {
		// The parser's own words can repeat the DSN.
		return nil, errors.New("sql: the dsn is not valid for mysql, want user:password@tcp(host:port)/database or mysql://…")
	}
	config.InterpolateParams = false // parameters are bound by the server, never pasted into the text
	config.MultiStatements = false
	config.AllowAllFiles = false
	config.ParseTime = true
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, errors.New("sql: the dsn is not valid for mysql")
	}
	return sql.OpenDB(readOnlySession{connector, timeout}), nil
}

// mysqlConfig also takes the URL form that hosting platforms hand out.
func mysqlConfig(dsn string) (*mysql.Config, error) {
	scheme, _, isURL := strings.Cut(dsn, "://")
	if !isURL || scheme != "mysql" && scheme != "mariadb" {
		return mysql.ParseDSN(dsn) //nolint:wrapcheck // the caller says it in words without the DSN
	}
	parsed, err := url.Parse(dsn)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says it in words without the DSN
	}
	database := url.PathEscape(strings.TrimPrefix(parsed.Path, "/"))
	config, err := mysql.ParseDSN("tcp(" + parsed.Host + ")/" + database + "?" + parsed.RawQuery)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says it in words without the DSN
	}
	config.User = parsed.User.Username()
	config.Passwd, _ = parsed.User.Password()
	return config, nil
}

// readOnlySession makes every new connection read-only and lets the server end long queries.
type readOnlySession struct {
	driver.Connector

	timeout time.Duration
}

// Connect opens a connection and sets its session up.
func (s readOnlySession) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // Ask describes it
	}
	if err := s.setUp(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (s readOnlySession) setUp(ctx context.Context, conn driver.Conn) error {
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		return errors.New("the driver cannot execute")
	}
	if _, err := session.ExecContext(ctx, "set session transaction read only", nil); err != nil {
		return err //nolint:wrapcheck // Ask describes it
	}
	// MariaDB and MySQL name the limit differently; MariaDB counts seconds, MySQL milliseconds.
	_, err := session.ExecContext(ctx, fmt.Sprintf("set session max_statement_time = %.3f", s.timeout.Seconds()), nil)
	if mysqlErr, ok := errors.AsType[*mysql.MySQLError](err); ok && mysqlErr.Number == unknownVariable {
		_, err = session.ExecContext(ctx, fmt.Sprintf("set session max_execution_time = %d", max(1, s.timeout.Milliseconds())), nil)
	}
	return err //nolint:wrapcheck // Ask describes it
}

func mysqlParam(param any) any {
	if number, ok := param.(json.Number); ok {
		return number.String()
	}
	return param
}

// mysqlFault shows the error number, never the message, which repeats values and user names.
func mysqlFault(err error) *Error {
	if errors.Is(err, mysql.ErrInvalidConn) {
		return &Error{System: systemSQL, Kind: Transport, Detail: "connection failed to the database"}
	}
	mysqlErr, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return nil
	}
	detail := fmt.Sprintf("mysql %d", mysqlErr.Number)
	if words := mysqlWords[mysqlErr.Number]; words != "" {
		detail += " " + words
	}
	return &Error{System: systemSQL, Kind: mysqlKind(mysqlErr.Number), Detail: detail}
}

// mysqlKind sorts by error number: https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html.
func mysqlKind(number uint16) Kind {
	switch number {
	case 1969, 3024:
		return Timeout // our own limit
	case 1053, 1927, 2006, 2013:
		return Transport // shutting down, connection killed
	case 1040, 1203, 1205, 1213, 1226:
		return Unavailable // too many connections, lock waits, deadlocks, resource limits
	default:
		return Permanent
	}
}

var mysqlWords = map[uint16]string{
	1040: "too many connections",
	1044: "permission denied",
	1045: "login refused",
	1049: "no such database",
	1053: "the server is shutting down",
	1054: "no such column",
	1064: "syntax error",
	1142: "permission denied",
	1146: "no such table",
	1792: "the query writes, and the session is read-only",
	1969: "ended after the timeout",
	3024: "ended after the timeout",
}
