package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

const doctorHelp = `Check all that seamtag depends on, and say how to mend what is wrong.

It looks at the configuration, the rules, Redis, Seam with its webhook, and at what the workers do. With --url it also sends
a signed test event there, for an account that does not exist, and follows it until a worker is done with it.

Each line is ok, a warning or a failure. Exit code 1 says that there is a failure.`

type doctorOptions struct {
	url  string
	json bool
}

func newDoctor(p Process) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check all that seamtag depends on", Long: doctorHelp, Args: noArgs,
		Example: "  seamtag doctor\n  seamtag doctor --url https://seamtag.example/webhooks/seam\n  seamtag doctor --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return doctor(cmd.Context(), p, o) },
	}
	cmd.Flags().StringVar(&o.url, "url", "", "where seamtag takes webhooks, to send a test event to")
	jsonFlag(cmd, &o.json)
	return cmd
}

// The results of a check.
const (
	healthy = "ok"
	warning = "warning"
	failure = "failure"
)

// finding is one line of the doctor.
type finding struct {
	Check  string `json:"check"`
	Result string `json:"result"`
	Text   string `json:"text"`
	Mend   string `json:"mend,omitempty"`
}

// findings collects what the checks found, and prints each as it comes.
type findings struct {
	out      *output
	table    *table
	failures int
	err      error // of printing
}

func (f *findings) okf(check, format string, args ...any) {
	f.add(finding{Check: check, Result: healthy, Text: fmt.Sprintf(format, args...)})
}

func (f *findings) warnf(check, mend, format string, args ...any) {
	f.add(finding{Check: check, Result: warning, Text: fmt.Sprintf(format, args...), Mend: mend})
}

func (f *findings) failf(check, mend, format string, args ...any) {
	f.failures++
	f.add(finding{Check: check, Result: failure, Text: fmt.Sprintf(format, args...), Mend: mend})
}

func (f *findings) add(one finding) {
	look := map[string]style{healthy: green, warning: yellow, failure: red}[one.Result]
	text := one.Text
	if one.Mend != "" {
		text += " → " + one.Mend
	}
	err := f.table.add(one, cell{one.Result, look}, cell{text: one.Check}, cell{text: text})
	f.err = errors.Join(f.err, err, f.table.flush())
}

func doctor(ctx context.Context, p Process, o doctorOptions) error {
	if o.url != "" {
		if err := checkWebhookURL(o.url); err != nil {
			return usage(err)
		}
	}
	out := newOutput(p, o.json)
	f := &findings{out: out, table: out.table("RESULT", "CHECK", "")}
	d := &diagnosis{findings: f, process: p}
	d.run(ctx, o.url)
	switch {
	case f.err != nil:
		return f.err
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	case f.failures > 0:
		return errors.New(plural(f.failures, "failure"))
	}
	return nil
}
