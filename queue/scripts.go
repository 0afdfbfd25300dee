package queue

import (
	"embed"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Each script's KEYS, ARGV and Returns are stated on top of its file.
//
//go:embed lua
var lua embed.FS

// The scripts. Those that mend a full Redis, or work off what it holds, run there too; what lets more in does not.
var (
	publishScript = newScript(refusedWhenFull, "publish")
	replayScript  = newScript(refusedWhenFull, "replay")
	stateScript   = newScript(refusedWhenFull, "state")
	joinScript    = newScript(runsWhenFull, "join")
	beginScript   = newScript(runsWhenFull, "pace", "begin")
	settleScript  = newScript(runsWhenFull, "settle")
	renewScript   = newScript(runsWhenFull, "renew")
	dueScript     = newScript(runsWhenFull, "due")
	releaseScript = newScript(runsWhenFull, "release")
	trimScript    = newScript(runsWhenFull, "trim")
	forgetScript  = newScript(runsWhenFull, "forget")
	wakeScript    = newScript(runsWhenFull, "wake")
	takeScript    = newScript(runsWhenFull, "pace", "take")
	holdScript    = newScript(runsWhenFull, "hold")
	stepScript    = newScript(runsWhenFull, "step")
)

const (
	refusedWhenFull = false
	runsWhenFull    = true
)

// script is a Lua script in the form of each dialect.
type script [len(dialects)]*redis.Script

// newScript puts files of lua/ together.
func newScript(whenFull bool, names ...string) *script {
	var body strings.Builder
	for _, name := range names {
		text, err := lua.ReadFile("lua/" + name + ".lua")
		if err != nil {
			panic(err) // it is built in
		}
		body.Write(text)
	}
	var s script
	for i, d := range dialects {
		s[i] = redis.NewScript(d.head(whenFull) + body.String())
	}
	return &s
}
