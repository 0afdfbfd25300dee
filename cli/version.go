package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker, see Makefile and Dockerfile.
var version = ""

// build is what version prints.
type build struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Target  string `json:"target"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Target: runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version != "" {
		return b
	}
	b.Version = "dev"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	return b
}

func newVersion(p Process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		Example: "  seamtag version\n  seamtag version --json",
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			return newOutput(p, asJSON).one(b, fmt.Sprintf("seamtag %s (%s, %s)", b.Version, b.Go, b.Target))
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
