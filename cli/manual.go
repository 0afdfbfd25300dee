package cli

import (
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"seamtag/config"
)

const manualHelp = `Print the manual page: every command with its flags and examples, the environment and the exit codes.`

// newManual is for packagers: `make man`. It is hidden, as --help says the same.
func newManual(p Process) *cobra.Command {
	return &cobra.Command{
		Use: "manual", Short: "Print the manual page", Long: manualHelp, Args: noArgs, Hidden: true,
		Example: "  seamtag manual > seamtag.1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(p.Stdout, manualOf(cmd.Root()))
			return printed(err)
		},
	}
}

// manual writes a page in the man macros.
type manual struct{ strings.Builder }

func manualOf(root *cobra.Command) string {
	var m manual
	m.macro("TH", "SEAMTAG", "1", "", "seamtag "+thisBuild().Version, "")
	m.macro("SH", "NAME")
	m.text("seamtag - " + root.Short)
	m.macro("SH", "SYNOPSIS")
	m.text("seamtag command [flags]")
	m.macro("SH", "DESCRIPTION")
	m.text(root.Long)
	m.macro("SH", "COMMANDS")
	m.commands(root)
	m.macro("SH", "ENVIRONMENT")
	for _, v := range config.Variables() {
		m.macro("TP")
		m.text(v.Name)
		m.text(v.Meaning + " (default: " + strings.Trim(v.Default, "`") + ")")
	}
	m.macro("SH", "EXIT STATUS")
	for _, line := range exitCodes() {
		m.macro("TP")
		m.text(line[0])
		m.text(line[1])
	}
	return m.String()
}

func exitCodes() [][2]string {
	return [][2]string{
		{strconv.Itoa(exitDone), "done"},
		{strconv.Itoa(exitFailed), "failed"},
		{strconv.Itoa(exitUsage), "wrong use or configuration; stderr names the variable, the flag or the place in a file"},
		{strconv.Itoa(exitDrift), "reconcile found drift and did not mend it"},
	}
}

// commands writes what can be run below a command, in order.
func (m *manual) commands(parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if !c.IsAvailableCommand() || c.Name() == "help" {
			continue
		}
		if c.HasAvailableSubCommands() {
			m.commands(c)
			continue
		}
		m.macro("SS", c.UseLine())
		if c.Long != "" {
			m.text(c.Long)
		} else {
			m.text(c.Short + ".")
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { m.flag(f) })
		if c.Example != "" {
			m.macro("PP")
			m.macro("EX")
			m.text(c.Example)
			m.macro("EE")
		}
	}
}

func (m *manual) flag(f *pflag.Flag) {
	if f.Name == "help" {
		return
	}
	value, use := pflag.UnquoteUsage(f)
	m.macro("TP")
	m.text(strings.TrimSpace("--" + f.Name + " " + value))
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
		use += " (default: " + f.DefValue + ")"
	}
	m.text(use)
}

func (m *manual) macro(name string, args ...string) {
	m.WriteString("." + name)
	for _, a := range args {
		m.WriteString(` "` + roff(a) + `"`)
	}
	m.WriteByte('\n')
}

// text writes paragraphs as they are.
func (m *manual) text(text string) {
	for line := range strings.Lines(text) {
		line = roff(strings.TrimSuffix(line, "\n"))
		switch {
		case line == "":
			m.macro("PP")
			continue
		case line[0] == '.' || line[0] == '\'':
			line = `\&` + line
		}
		m.WriteString(line + "\n")
	}
}

// roff escapes what the formatter would read as its own.
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "–", `\(en`, "…", "...", "→", "->", "·", `\(pc`, "’", "'").Replace(text)
}
