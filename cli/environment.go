package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"seamtag/config"
)

const environmentHelp = `Every variable that seamtag reads, with its default.
A wrong value ends a command with exit code 2 and the variable's name.`

// newEnvironmentHelp is a help topic: `seamtag help environment`.
func newEnvironmentHelp() *cobra.Command {
	cmd := &cobra.Command{Use: "environment", Short: "Every environment variable, with its default", Long: environmentHelp}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s", environmentHelp, config.Table())
	})
	return cmd
}
