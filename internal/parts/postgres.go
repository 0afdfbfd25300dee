package parts

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" //nolint:depguard // the driver "pgx", to see the server answer
)

const postgresPrograms = "/usr/lib/postgresql/*/bin/%s"

// Postgres starts a PostgreSQL of its own on a free port, with password logins, and ends it with the test.
func Postgres(tb testing.TB) *DatabaseServer {
	tb.Helper()
	runAs := serviceUser(tb, "postgres")
	dir := serviceDir(tb, runAs)
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(DatabasePassword+"\n"), 0o644); err != nil {
		tb.Fatalf("write the password: %v", err)
	}
	data := filepath.Join(dir, "data")
	prepare(tb, runAs, dir, newestMatch(tb, "initdb", postgresPrograms), "--pgdata", data, "--username", DatabaseUser,
		"--auth", "scram-sha-256", "--pwfile", password, "--encoding", "UTF8", "--locale", "C", "--no-sync")
	port := FreePort(tb)
	s := &DatabaseServer{
		tb: tb, driver: "pgx", port: port, runAs: runAs,
		dsn: fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/postgres?sslmode=disable", DatabaseUser, DatabasePassword, port),
		args: []string{
			newestMatch(tb, "postgres", postgresPrograms), "-D", data, "-p", strconv.Itoa(port),
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "max_connections=20",
		},
	}
	s.Start()
	tb.Cleanup(s.Stop)
	return s
}
