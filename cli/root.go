package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"seamtag/config"
	"seamtag/queue"
)

// Process is what a command sees of the process it runs in.
type Process struct {
	Args           []string
	Environ        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Hangups catches SIGHUP from here on, until the second result is called. Nil where nothing can send one.
	Hangups func() (<-chan os.Signal, func())
}

func (p Process) hangups() (<-chan os.Signal, func()) {
	if p.Hangups == nil {
		return nil, func() {}
	}
	return p.Hangups()
}

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong use or configuration; stderr says which variable, flag or place in a file
	exitDrift  = 3 // accounts differ from what the rules want, and that is not mended
)

const rootHelp = `Seamtag keeps the custom_metadata of every connected account of a Seam workspace as your rules say.

A signed webhook is the trigger, your own systems are the source, one whole-object update is the result.
Start with: seamtag demo`

// Run runs one command and answers the process's exit code. It returns soon after ctx ends.
func Run(ctx context.Context, p Process) int {
	queue.SilenceRedis()
	root := newRoot(p)
	root.SetArgs(p.Args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(p.Stderr, "seamtag: %s\n", strings.TrimSuffix(line, "\n"))
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*driftError](err); ok {
		return exitDrift
	}
	return exitFailed
}

// usageError is wrong use or configuration: exit code 2.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

func newRoot(p Process) *cobra.Command {
	root := &cobra.Command{
		Use: "seamtag", Short: "Keep the metadata of every connected account as your rules say", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(unknownCommand(cmd, args[0]))
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nsee: %s --help", err, cmd.CommandPath()))
	})
	root.AddCommand(
		newDemo(p),
		newServe(p),
		newSend(p),
		newRules(p),
		newExplain(p),
		newEvents(p),
		newReplay(p),
		newBackfill(p),
		newReconcile(p),
		newLedger(p),
		newWebhook(p),
		newDoctor(p),
		newVersion(p),
		newEnvironmentHelp(),
		newManual(p),
	)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	addCompletion(root) // it takes the output as it is set by now
	return root
}

func unknownCommand(root *cobra.Command, name string) error {
	hint := ""
	if near := root.SuggestionsFor(name); len(near) > 0 {
		hint = ", did you mean " + strings.Join(near, " or ")
	}
	return fmt.Errorf("unknown command %q%s\nsee: %s --help", name, hint, root.CommandPath())
}

// printed names what failed where a result could not be printed.
func printed(err error) error {
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// noArgs refuses arguments as wrong use.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && cmd.HasSubCommands() {
		return usage(unknownCommand(cmd, args[0]))
	}
	if len(args) > 0 {
		return usage(fmt.Errorf("%q takes no argument, got %q\nsee: %s --help", cmd.CommandPath(), args[0], cmd.CommandPath()))
	}
	return nil
}

// atMostOneArg refuses a second argument as wrong use.
func atMostOneArg(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return oneArg(cmd, args)
}

// oneArg wants exactly one argument.
func oneArg(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(fmt.Errorf("%q takes one argument, got %d\nsee: %s --help", cmd.CommandPath(), len(args), cmd.CommandPath()))
	}
	return nil
}

// load reads the configuration; what is wrong with it is wrong use.
func load(p Process, required ...func(*config.Config) error) (config.Config, error) {
	c, err := config.Load(p.Environ)
	errs := []error{err}
	if err == nil {
		for _, require := range required {
			errs = append(errs, require(&c))
		}
	}
	return c, usage(errors.Join(errs...))
}
