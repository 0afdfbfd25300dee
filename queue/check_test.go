package queue

import (
	"maps"
	"strings"
	"testing"

	"seamtag/internal/parts"
)

func TestCheckNamesWhatIsDangerousAndItsMend(t *testing.T) {
	good := map[string]string{
		"redis_version": "7.0.15", "maxmemory_policy": "noeviction", "aof_enabled": "1", "role": "master", "cluster_enabled": "0",
		"aof_last_write_status": "ok",
	}
	for name, tt := range map[string]struct {
		change map[string]string
		mode   Mode
		says   string // empty: nothing
		fatal  bool
	}{
		"good":                       {},
		"Redis 6.2":                  {change: map[string]string{"redis_version": "6.2.0"}},
		"Redis 8":                    {change: map[string]string{"redis_version": "8.2.1"}},
		"Valkey":                     {change: map[string]string{"redis_version": "7.2.4", "valkey_version": "8.1.0"}},
		"a server that tells little": {change: map[string]string{"redis_version": "", "aof_enabled": "", "maxmemory_policy": "", "role": ""}},
		"too old":                    {change: map[string]string{"redis_version": "6.0.16"}, says: "use 6.2", fatal: true},
		"evicts":                     {change: map[string]string{"maxmemory_policy": "allkeys-lru"}, says: "set maxmemory-policy noeviction", fatal: true},
		"no append-only file":        {change: map[string]string{"aof_enabled": "0"}, says: "set appendonly yes"},
		"a broken disk":              {change: map[string]string{"aof_last_write_status": "err"}, says: "mend the disk", fatal: true},
		"a replica":                  {change: map[string]string{"role": "slave"}, says: "REDIS_MODE=sentinel", fatal: true},
		"a Cluster's node":           {change: map[string]string{"cluster_enabled": "1"}, says: "REDIS_MODE=cluster", fatal: true},
		"a Cluster":                  {change: map[string]string{"cluster_enabled": "1"}, mode: Cluster},
	} {
		t.Run(name, func(t *testing.T) {
			info := maps.Clone(good)
			maps.Copy(info, tt.change)
			problems := problemsOf(info, tt.mode)
			if tt.says == "" {
				if len(problems) > 0 {
					t.Errorf("found %v", problems)
				}
				return
			}
			if len(problems) != 1 || problems[0].Fatal != tt.fatal || !strings.Contains(problems[0].Text, tt.says) {
				t.Errorf("found %v, want one (fatal %t) that says %q", problems, tt.fatal, tt.says)
			}
		})
	}
}

func TestCheckAsksTheServer(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"good":            {},
		"evicts":          {[]string{"--maxmemory-policy", "allkeys-lru"}, "noeviction"},
		"lacks a command": {[]string{"--rename-command", "XAUTOCLAIM", ""}, "xautoclaim"},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := Open(Options{URL: parts.Redis(t, tt.args...).URL()})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			problems, err := q.Check(t.Context())
			if err != nil || len(problems) > 1 || (len(problems) == 1) != (tt.says != "") {
				t.Fatalf("found %v, %v", problems, err)
			}
			if tt.says != "" && (!problems[0].Fatal || !strings.Contains(problems[0].Text, tt.says)) {
				t.Errorf("found %v, want %q", problems, tt.says)
			}
		})
	}
}
