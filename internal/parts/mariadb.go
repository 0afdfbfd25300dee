package parts

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"

	_ "github.com/go-sql-driver/mysql" //nolint:depguard // the driver "mysql", to see the server answer
)

// MariaDB starts a MariaDB of its own on a free port, with password logins and a database "seamtag", and ends it with
// the test.
func MariaDB(tb testing.TB) *DatabaseServer {
	tb.Helper()
	runAs := serviceUser(tb, "mysql")
	dir := serviceDir(tb, runAs)
	data := filepath.Join(dir, "data")
	prepare(tb, runAs, dir, lookPath(tb, "mariadb-install-db"), "--no-defaults", "--datadir="+data,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--skip-log-bin")
	port := FreePort(tb)
	s := &DatabaseServer{
		tb: tb, driver: "mysql", port: port, runAs: runAs,
		dsn: fmt.Sprintf("root@tcp(127.0.0.1:%d)/", port),
		args: []string{
			newestMatch(tb, "mariadbd", "/usr/sbin/%s"), "--no-defaults", "--datadir=" + data, "--port=" + strconv.Itoa(port),
			"--bind-address=127.0.0.1", "--socket=" + filepath.Join(dir, "socket"), "--pid-file=" + filepath.Join(dir, "pid"),
			"--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=16M", "--skip-log-bin",
		},
	}
	s.Start()
	tb.Cleanup(s.Stop)
	s.openUp()
	return s
}

// openUp makes the database and the user that tests log in as.
func (s *DatabaseServer) openUp() {
	s.tb.Helper()
	s.Exec(
		"create database seamtag character set utf8mb4",
		fmt.Sprintf("create user '%s'@'%%' identified by '%s'", DatabaseUser, DatabasePassword),
		fmt.Sprintf("grant all on seamtag.* to '%s'@'%%'", DatabaseUser),
	)
	s.dsn = fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/seamtag", DatabaseUser, DatabasePassword, s.port)
	db, err := sql.Open(s.driver, s.dsn)
	if err != nil {
		s.tb.Fatalf("open mariadb: %v", err)
	}
	defer db.Close()
	if err := db.PingContext(s.tb.Context()); err != nil {
		s.tb.Fatalf("log in to mariadb: %v", err)
	}
}
