package lookup_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"seamtag/internal/parts"
	"seamtag/metadata/lookup"
)

// database is one of the three kinds as the tests need it.
type database struct {
	driver string
	dsn    string
	mark   string // the placeholder of the first parameter
	db     *sql.DB
	server *parts.DatabaseServer // nil for sqlite
	slow   string                // a query that takes 30 s
	writes map[string]string     // statements that must be refused
}

func (d database) source(t *testing.T, query string) *lookup.SQL {
	t.Helper()
	source, err := lookup.NewSQL(lookup.SQLOptions{Driver: d.driver, DSN: d.dsn, Query: strings.ReplaceAll(query, "?", d.mark)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return source
}

func (d database) count(t *testing.T) int {
	t.Helper()
	var count int
	if err := d.db.QueryRowContext(t.Context(), "select count(*) from users").Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

func newPostgres(t *testing.T) database {
	t.Helper()
	server := parts.Postgres(t)
	server.Exec(
		`create table users (id int primary key, name text, score float8, vip bool, born timestamptz, note text, tiny real, raw bytea)`,
		`insert into users values (7, 'é', 1.5, true, '2026-11-23 09:00Z', null, 0.1, 'raw')`,
		`create function hide() returns int language sql as 'insert into users (id) values (99) returning id'`,
	)
	return database{"postgres", server.DSN(), "$1", server.DB(), server, "select pg_sleep(30)", map[string]string{
		"cte":      "with gone as (delete from users returning id) select id from gone",
		"function": "select hide()",
		"insert":   "insert into users (id) values (8) returning id",
		"ddl":      "drop table users",
	}}
}

func newMariaDB(t *testing.T) database {
	t.Helper()
	server := parts.MariaDB(t)
	server.Exec(
		`create table users (id int primary key, name varchar(40), score double, vip bool, born datetime, note text, tiny float, raw blob)`,
		`insert into users values (7, 'é', 1.5, true, '2026-11-23 09:00:00', null, 0.1, 'raw')`,
		`create procedure hide() modifies sql data insert into users (id) values (99)`,
	)
	return database{"mysql", server.DSN(), "?", server.DB(), server, "select sleep(30)", map[string]string{
		"insert":    "insert into users (id) values (8)",
		"returning": "delete from users returning id",
		"procedure": "call hide()",
		"ddl":       "drop table users",
	}}
}

func newSQLite(t *testing.T) database {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a b#%41.db") // signs that a URI would read as its own
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, statement := range []string{
		`create table users (id int primary key, name text, score real, vip boolean, born timestamp, note text, tiny real, raw blob)`,
		`insert into users values (7, 'é', 1.5, true, '2026-11-23 09:00:00', null, 0.1, x'726177')`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	slow := "with recursive n(i) as (select 1 union all select i+1 from n) select count(*) from n"
	return database{"sqlite", file, "?", db, nil, slow, map[string]string{
		"insert": "insert into users (id) values (8) returning id",
		"delete": "delete from users",
		"ddl":    "drop table users",
		"attach": fmt.Sprintf("attach '%s' as other; create table other.t (a)", filepath.Join(t.TempDir(), "other.db")),
	}}
}

func TestSQL(t *testing.T) {
	for name, start := range map[string]func(*testing.T) database{
		"PostgreSQL": newPostgres, "MariaDB": newMariaDB, "SQLite": newSQLite,
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t)
			t.Run("row", d.testRow)
			t.Run("parameters", d.testParameters)
			t.Run("hostile", d.testHostile)
			t.Run("read-only", d.testReadOnly)
			t.Run("faults", d.testFaults)
			t.Run("timeout", d.testTimeout)
			if d.server != nil {
				t.Run("login", d.testLogin)
				t.Run("down and up", d.testDownAndUp)
			}
		})
	}
}

func (d database) testRow(t *testing.T) {
	got, err := d.source(t, "select id, name, score, vip, born, note, tiny, raw from users where id = ?").Ask(t.Context(), []any{int64(7)})
	if err != nil {
		t.Fatal(err)
	}
	row, _ := got.(map[string]any)
	born, _ := row["born"].(time.Time)
	if want := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC); !born.Equal(want) {
		t.Errorf("born %v, want %v", row["born"], want)
	}
	delete(row, "born")
	want := map[string]any{"id": int64(7), "name": "é", "score": 1.5, "vip": true, "note": nil, "tiny": 0.1, "raw": "raw"}
	if d.driver != "postgres" {
		want["vip"] = int64(1) // the others' bool is a number
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func (d database) testParameters(t *testing.T) {
	for name, tc := range map[string]struct {
		where string
		value any
	}{
		"text for a number": {"id = ?", "7"},
		"number for a text": {"cast(id as char(1)) = ?", int64(7)},
		"whole float":       {"id = ?", 7.0},
		"float":             {"score = ?", 1.5},
		"truth":             {"vip = ?", true},
		"text":              {"name = ?", "é"},
		"no parameter":      {"id = 7", nil},
	} {
		t.Run(name, func(t *testing.T) {
			params := []any{tc.value}
			if tc.value == nil {
				params = nil
			}
			got, err := d.source(t, "select score from users where "+tc.where).Ask(t.Context(), params)
			if diff := cmp.Diff(any(map[string]any{"score": 1.5}), got); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
}

func (d database) testHostile(t *testing.T) {
	source := d.source(t, "select id from users where name = ?")
	for name, value := range hostile() {
		_, err := source.Ask(t.Context(), []any{value})
		refused, isError := errors.AsType[*lookup.Error](err)
		switch {
		case errors.Is(err, lookup.ErrMissing):
		case isError && !refused.Transient() && len(err.Error()) < 200: // such as a null byte, which PostgreSQL has no place for
		default:
			t.Errorf("%s: %.200v", name, err)
		}
	}
	if d.count(t) != 1 {
		t.Error("the table has changed")
	}
}

func (d database) testReadOnly(t *testing.T) {
	for name, statement := range d.writes {
		_, err := d.source(t, statement).Ask(t.Context(), nil)
		if refused, ok := errors.AsType[*lookup.Error](err); !ok || refused.Transient() || !strings.Contains(refused.Detail, "read-only") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d.count(t) != 1 {
		t.Error("the table has changed")
	}
}

func (d database) testFaults(t *testing.T) {
	for name, tc := range map[string]struct{ query, want string }{
		"no row":       {"select id from users where name = ?", ""},
		"two names":    {"select id, score as id from users where name = ?", `two columns are named "id"`},
		"no table":     {"select id from secrets where name = ?", "no such table"},
		"no column":    {"select secret from users where name = ?", "no such column"},
		"syntax":       {"selekt secret from users where name = ?", "syntax error"},
		"too many":     {"select 1", ""},
		"not the type": {"select id from users where id = ?", ""},
	} {
		_, err := d.source(t, tc.query).Ask(t.Context(), []any{"secret@example.com"})
		if err == nil && name == "too many" && d.driver == "sqlite" {
			continue // it leaves a parameter that the query does not name unused
		}
		if err == nil || lookup.IsTransient(err) || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func (d database) testTimeout(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	source := d.source(t, d.slow)
	_, err := source.Ask(ctx, nil)
	if got, ok := errors.AsType[*lookup.Error](err); !ok || got.Kind != lookup.Timeout {
		t.Errorf("the context's: %v", err)
	}
	if d.server == nil {
		return // SQLite runs in this process, the context is all there is
	}
	limited, err := lookup.NewSQL(lookup.SQLOptions{Driver: d.driver, DSN: d.dsn, Query: d.slow, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer limited.Close()
	_, err = limited.Ask(t.Context(), nil)
	if got, ok := errors.AsType[*lookup.Error](err); !ok || got.Kind != lookup.Timeout {
		t.Errorf("the server's: %v", err)
	}
}

func (d database) testLogin(t *testing.T) {
	wrong := d
	wrong.dsn = strings.ReplaceAll(d.dsn, parts.DatabasePassword, "other-s3cret")
	_, err := wrong.source(t, "select 1").Ask(t.Context(), nil)
	if err == nil || lookup.IsTransient(err) || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

func (d database) testDownAndUp(t *testing.T) {
	source := d.source(t, "select id from users")
	if _, err := source.Ask(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	d.server.Stop()
	for range 2 { // on the pooled connection, then on none
		_, err := source.Ask(t.Context(), nil)
		if got, ok := errors.AsType[*lookup.Error](err); !ok || !got.Transient() || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("down: %v", err)
		}
	}
	d.server.Start()
	if _, err := source.Ask(t.Context(), nil); err != nil {
		t.Errorf("up again: %v", err)
	}
}

func TestMySQLAddress(t *testing.T) {
	server := parts.MariaDB(t)
	for name, dsn := range map[string]string{
		"url":      fmt.Sprintf("mysql://%s:%s@127.0.0.1:%d/seamtag?timeout=2s", parts.DatabaseUser, parts.DatabasePassword, server.Port()),
		"injected": server.DSN() + "?multiStatements=true&interpolateParams=true",
	} {
		t.Run(name, func(t *testing.T) {
			source := database{driver: "mysql", dsn: dsn, mark: "?"}.source(t, "select 1 as one; select 2")
			if _, err := source.Ask(t.Context(), nil); err == nil || lookup.IsTransient(err) {
				t.Errorf("two statements: %v", err)
			}
			source = database{driver: "mysql", dsn: dsn, mark: "?"}.source(t, "select 1 as one")
			if got, err := source.Ask(t.Context(), nil); err != nil || !cmp.Equal(got, any(map[string]any{"one": int64(1)})) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestNewSQLRefuses(t *testing.T) {
	for name, options := range map[string]lookup.SQLOptions{
		"driver":        {Driver: "oracle", DSN: "dsn-s3cret", Query: "select 1"},
		"no query":      {Driver: "postgres", DSN: "postgres://u:dsn-s3cret@h/"},
		"postgres dsn":  {Driver: "postgres", DSN: "postgres://u:dsn-s3cret@h:port/", Query: "select 1"},
		"mysql dsn":     {Driver: "mysql", DSN: "u:dsn-s3cret@h", Query: "select 1"},
		"mysql url":     {Driver: "mysql", DSN: "mysql://u:dsn-s3cret@h:port/a", Query: "select 1"},
		"sqlite memory": {Driver: "sqlite", DSN: ":memory:", Query: "select 1"},
		"sqlite empty":  {Driver: "sqlite", DSN: "", Query: "select 1"},
	} {
		if _, err := lookup.NewSQL(options); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
