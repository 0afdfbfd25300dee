package queue

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// Each script's KEYS, ARGV and Returns are stated on top of its file.
var (
	//go:embed lua/publish.lua
	publishLua string
	//go:embed lua/begin.lua
	beginLua string
	//go:embed lua/settle.lua
	settleLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/due.lua
	dueLua string
	//go:embed lua/release.lua
	releaseLua string
	//go:embed lua/replay.lua
	replayLua string
	//go:embed lua/trim.lua
	trimLua string
	//go:embed lua/forget.lua
	forgetLua string
	//go:embed lua/state.lua
	stateLua string

	publishScript = redis.NewScript(publishLua)
	beginScript   = redis.NewScript(beginLua)
	settleScript  = redis.NewScript(settleLua)
	renewScript   = redis.NewScript(renewLua)
	dueScript     = redis.NewScript(dueLua)
	releaseScript = redis.NewScript(releaseLua)
	replayScript  = redis.NewScript(replayLua)
	trimScript    = redis.NewScript(trimLua)
	forgetScript  = redis.NewScript(forgetLua)
	stateScript   = redis.NewScript(stateLua)
)
