package cli

import "github.com/spf13/cobra"

// completionExamples are how each shell takes its completions.
var completionExamples = map[string]string{
	"bash":       "  source <(seamtag completion bash)\n  seamtag completion bash > /etc/bash_completion.d/seamtag",
	"zsh":        "  source <(seamtag completion zsh)\n  seamtag completion zsh > \"${fpath[1]}/_seamtag\"",
	"fish":       "  seamtag completion fish | source\n  seamtag completion fish > ~/.config/fish/completions/seamtag.fish",
	"powershell": "  seamtag completion powershell | Out-String | Invoke-Expression",
}

// addCompletion adds cobra's completion command and gives it what every command here has.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Short, c.Example = "Print the completion script of a shell", "  source <(seamtag completion bash)"
		c.Args = noArgs
		c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		for _, shell := range c.Commands() {
			shell.Short, shell.Example, shell.Args = "Print the completion script of "+shell.Name(), completionExamples[shell.Name()], noArgs
			shell.Long = "Print the completion script of " + shell.Name() + ": it completes commands, flags and the words that flags take."
		}
	}
}
