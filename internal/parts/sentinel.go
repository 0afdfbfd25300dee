package parts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	sentinelMaster   = "seamtag"
	sentinelPatience = 60 * time.Second
)

// RedisSentinel is a primary with two replicas, watched by three sentinels. A primary that does not answer for 1 s is
// replaced by a replica.
type RedisSentinel struct {
	tb        testing.TB
	Nodes     []*RedisServer // the first one is the primary at the start
	Sentinels []*RedisServer
}

// Sentinel starts a Sentinel set with append-only persistence and waits until the replicas are in step and the sentinels
// know each other. It ends with the test. Further redis-server arguments follow the defaults, for the nodes.
func Sentinel(tb testing.TB, args ...string) *RedisSentinel {
	tb.Helper()
	s := &RedisSentinel{tb: tb}
	for i := range 3 {
		node := newRedis(tb, append([]string{"--repl-diskless-sync-delay", "0"}, args...)...)
		if i > 0 {
			node.args = append(node.args, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Nodes[0].port))
		}
		node.Start()
		s.Nodes = append(s.Nodes, node)
	}
	Await(tb, "the replicas are in step", sentinelPatience, func() bool { return s.replicasOnline() == 2 })
	for range 3 {
		s.Sentinels = append(s.Sentinels, s.startSentinel())
	}
	Await(tb, "the sentinels know each other", sentinelPatience, s.complete)
	return s
}

// startSentinel starts one that watches the first node.
func (s *RedisSentinel) startSentinel() *RedisServer {
	s.tb.Helper()
	watcher := &RedisServer{tb: s.tb, dir: s.tb.TempDir(), port: FreePort(s.tb)}
	config := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %s
logfile %s
sentinel monitor %[4]s 127.0.0.1 %[5]d 2
sentinel down-after-milliseconds %[4]s 1000
sentinel failover-timeout %[4]s 6000
`, watcher.port, watcher.dir, watcher.logFile(), sentinelMaster, s.Nodes[0].port)
	file := filepath.Join(watcher.dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		s.tb.Fatalf("write the sentinel's configuration: %v", err)
	}
	watcher.args = []string{file, "--sentinel"}
	s.tb.Cleanup(watcher.Kill)
	watcher.Start()
	return watcher
}

func (s *RedisSentinel) replicasOnline() int {
	info, _ := s.Nodes[0].Client().Info(s.tb.Context(), "replication").Result()
	return strings.Count(info, "state=online")
}

// complete says whether every sentinel knows both replicas and both other sentinels.
func (s *RedisSentinel) complete() bool {
	for _, watcher := range s.Sentinels {
		rdb := redis.NewSentinelClient(&redis.Options{Addr: watcher.Addr()})
		master, err := rdb.Master(s.tb.Context(), sentinelMaster).Result()
		_ = rdb.Close()
		if err != nil || master["num-slaves"] != "2" || master["num-other-sentinels"] != "2" {
			return false
		}
	}
	return true
}

// URL is the set's address as REDIS_URL takes it with REDIS_MODE=sentinel.
func (s *RedisSentinel) URL() string {
	return fmt.Sprintf("redis://%s/0?master_name=%s&addr=%s&addr=%s",
		s.Sentinels[0].Addr(), sentinelMaster, s.Sentinels[1].Addr(), s.Sentinels[2].Addr())
}

// Primary is the node that the sentinels call the primary now.
func (s *RedisSentinel) Primary() *RedisServer {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	rdb := redis.NewSentinelClient(&redis.Options{Addr: s.Sentinels[0].Addr()})
	defer rdb.Close()
	addr, err := rdb.GetMasterAddrByName(ctx, sentinelMaster).Result()
	if err != nil {
		s.tb.Fatalf("ask a sentinel for the primary: %v", err)
	}
	for _, node := range s.Nodes {
		if strconv.Itoa(node.port) == addr[1] {
			return node
		}
	}
	s.tb.Fatalf("the primary %v is none of the set", addr)
	return nil
}
