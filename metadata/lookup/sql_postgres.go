package lookup

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres asks within a read-only transaction of its own and prepares nothing, so that it also works behind a pooler
// such as PgBouncer, where session settings would leak to others.
func postgres() dialect {
	return dialect{
		begin: func(timeout time.Duration) string {
			return fmt.Sprintf("begin read only; set local statement_timeout = %d", max(1, timeout.Milliseconds()))
		},
		open:  openPostgres,
		param: func(param any) any { return text(param) }, // the server reads it as the type that the query wants
		fault: postgresFault,
	}
}

func openPostgres(dsn string, _ time.Duration) (*sql.DB, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The parser's own words repeat the DSN.
		return nil, errors.New("sql: the dsn is not valid for postgres, want postgres://user:password@host:port/database")
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	// A context that ends asks the server to cancel before the connection is given up.
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: endTimeout}
	}
	return stdlib.OpenDB(*config), nil
}

// postgresFault shows the SQLSTATE and where in the query it points to, never the message, which repeats values.
func postgresFault(err error) *Error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return nil
	}
	detail := "postgres " + pgErr.Code
	if words := postgresWords[pgErr.Code]; words != "" {
		detail += " " + words
	}
	if pgErr.Position > 0 {
		detail += fmt.Sprintf(", character %d of the query", pgErr.Position)
	}
	return &Error{System: systemSQL, Kind: postgresKind(pgErr.Code), Detail: detail}
}

// postgresKind sorts by SQLSTATE class: https://www.postgresql.org/docs/current/errcodes-appendix.html.
func postgresKind(code string) Kind {
	switch {
	case code == "57014":
		return Timeout // our own statement_timeout
	case code == "08P01":
		return Permanent // a wrong number of parameters
	case strings.HasPrefix(code, "08"):
		return Transport
	case strings.HasPrefix(code, "40"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57"), strings.HasPrefix(code, "58"):
		return Unavailable
	default:
		return Permanent
	}
}

var postgresWords = map[string]string{
	"08P01": "wrong number of parameters",
	"22P02": "a parameter does not fit its type",
	"22003": "a number out of range",
	"22007": "a parameter is not a time",
	"25006": "the query writes, and the session is read-only",
	"28P01": "password refused",
	"28000": "login refused",
	"3D000": "no such database",
	"42501": "permission denied",
	"42601": "syntax error",
	"42703": "no such column",
	"42883": "no such function, or not for these types",
	"42P01": "no such table",
	"42P18": "a parameter's type is not clear, add a cast",
	"53300": "too many connections",
	"57014": "ended after the timeout",
	"57P01": "the server is shutting down",
	"57P03": "the server is starting up",
}
