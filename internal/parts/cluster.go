package parts

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterPrimaries = 3
	clusterSlots     = 16384
	clusterPatience  = 60 * time.Second
)

// RedisCluster is a Redis Cluster of three primaries with one replica each. A primary that does not answer for 1.5 s is
// replaced by its replica.
type RedisCluster struct {
	tb    testing.TB
	Nodes []*RedisServer // primaries first, then their replicas in the same order
}

// Cluster starts a Redis Cluster with append-only persistence and waits until every slot is served and every replica is
// in step. It ends with the test. Further redis-server arguments follow the defaults.
func Cluster(tb testing.TB, args ...string) *RedisCluster {
	tb.Helper()
	c := &RedisCluster{tb: tb}
	for range 2 * clusterPrimaries {
		node := newRedis(tb, append([]string{
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1500",
			"--cluster-port", strconv.Itoa(FreePort(tb)), "--cluster-allow-replica-migration", "no",
			"--repl-diskless-sync-delay", "0",
		}, args...)...)
		node.launch()
		c.Nodes = append(c.Nodes, node)
	}
	for _, node := range c.Nodes {
		node.awaitReady()
	}
	c.meet()
	return c
}

// meet makes one cluster of the nodes.
func (c *RedisCluster) meet() {
	c.tb.Helper()
	ctx := c.tb.Context()
	ids := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		rdb := node.Client()
		ids[i] = do(c.tb, rdb, "CLUSTER", "MYID")
		do(c.tb, rdb, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < clusterPrimaries {
			do(c.tb, rdb, "CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/clusterPrimaries, (i+1)*clusterSlots/clusterPrimaries-1)
		}
		if i > 0 {
			do(c.tb, rdb, "CLUSTER", "MEET", "127.0.0.1", c.Nodes[0].port, c.Nodes[0].clusterPort())
		}
	}
	for i, node := range c.Nodes[clusterPrimaries:] {
		rdb := node.Client()
		Await(c.tb, "the nodes know each other", clusterPatience, func() bool {
			return rdb.Do(ctx, "CLUSTER", "REPLICATE", ids[i]).Err() == nil
		})
	}
	for i, node := range c.Nodes {
		Await(c.tb, "the cluster is in step", clusterPatience, func() bool {
			state, _ := node.Client().ClusterInfo(ctx).Result()
			replication, _ := node.Client().Info(ctx, "replication").Result()
			return strings.Contains(state, "cluster_state:ok") && strings.Contains(state, fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes))) &&
				(i < clusterPrimaries && strings.Contains(replication, "connected_slaves:1") || strings.Contains(replication, "master_link_status:up"))
		})
	}
}

// URL is the cluster's address as REDIS_URL takes it with REDIS_MODE=cluster.
func (c *RedisCluster) URL() string {
	url := c.Nodes[0].URL()
	for i, node := range c.Nodes[1:] {
		url = strings.TrimSuffix(url, "/0") + map[bool]string{true: "?", false: "&"}[i == 0] + "addr=" + node.Addr()
	}
	return url
}

// Primary is the node that serves a key's slot now: of those that say so of themselves, the one elected last.
func (c *RedisCluster) Primary(key string) *RedisServer {
	c.tb.Helper()
	var found *RedisServer
	Await(c.tb, "the primary of "+key, clusterPatience, func() bool {
		latest := -1
		for _, node := range c.Nodes {
			if epoch := node.servesSince(key); epoch > latest {
				found, latest = node, epoch
			}
		}
		return found != nil
	})
	return found
}

// servesSince is the epoch of the election since which a node says that it serves a key's slot, -1 where it does not.
func (s *RedisServer) servesSince(key string) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, DialTimeout: time.Second, ContextTimeoutEnabled: true})
	defer rdb.Close()
	slot, _ := rdb.ClusterKeySlot(ctx, key).Result()
	nodes, err := rdb.ClusterNodes(ctx).Result()
	if err != nil {
		return -1
	}
	for line := range strings.Lines(nodes) {
		fields := strings.Fields(line) // id, address, flags, primary, ping, pong, epoch, link, slots…
		serves := slices.ContainsFunc(fields[8:], func(r string) bool { return covers(r, int(slot)) })
		if serves && strings.HasPrefix(fields[2], "myself,master") {
			epoch, _ := strconv.Atoi(fields[6])
			return epoch
		}
	}
	return -1
}

// covers says whether a range such as 0-5460 has a slot.
func covers(slots string, slot int) bool {
	var first, last int
	if n, _ := fmt.Sscanf(slots, "%d-%d", &first, &last); n < 2 {
		last = first
	}
	return first <= slot && slot <= last
}

func (s *RedisServer) clusterPort() string {
	return s.args[slices.Index(s.args, "--cluster-port")+1]
}

// do runs a command that has to succeed.
func do(tb testing.TB, rdb *redis.Client, args ...any) string {
	tb.Helper()
	text, err := rdb.Do(tb.Context(), args...).Text()
	if err != nil {
		tb.Fatalf("redis: %v: %v", args[:2], err)
	}
	return text
}
