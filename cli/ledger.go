package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"seamtag/metadata"
	"seamtag/queue"
)

const ledgerHelp = `Save and restore what seamtag remembers of the accounts.

For each account it remembers which keys it wrote, what the account carried when it was last seen, and the webviews that
connected it. That is what brings back the keys that a reconnect wiped. A Redis that was lost is a queue, which a backfill
fills again, and this memory, which only an export gives back: keep one, as you keep a backup. It holds metadata values.`

// ledgerLine is an account in an export: one line of JSON.
type ledgerLine struct {
	Account string          `json:"connected_account_id"`
	Ledger  json.RawMessage `json:"ledger"`
}

func newLedger(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ledger", Short: "Save and restore what is remembered of the accounts", Long: ledgerHelp, Args: noArgs,
		Example: "  seamtag ledger export > ledger.jsonl\n  seamtag ledger import ledger.jsonl",
	}
	export := &cobra.Command{
		Use: "export", Short: "Print what is remembered, a line of JSON for each account", Args: noArgs,
		Example: "  seamtag ledger export > ledger.jsonl",
		RunE:    func(cmd *cobra.Command, _ []string) error { return exportLedger(cmd.Context(), p) },
	}
	var asJSON bool
	imported := &cobra.Command{
		Use: "import [file]", Short: "Remember what an export holds, never over something newer", Args: cobra.MaximumNArgs(1),
		Example: "  seamtag ledger import ledger.jsonl\n  seamtag ledger import < ledger.jsonl",
		RunE:    func(cmd *cobra.Command, args []string) error { return importLedger(cmd.Context(), p, args, asJSON) },
	}
	jsonFlag(imported, &asJSON)
	cmd.AddCommand(export, imported)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

func exportLedger(ctx context.Context, p Process) error {
	q, err := openQueueAlone(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = q.Close() }()
	progress, n := newProgress(p), 0
	defer progress.done()
	out := bufio.NewWriter(p.Stdout)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err = q.EachState(ctx, func(account string, state []byte) error {
		if !json.Valid(state) {
			return fmt.Errorf("account %s: what is remembered is not JSON", account)
		}
		n++
		progress.show("accounts", n, 0)
		return printed(lines.Encode(ledgerLine{account, state}))
	})
	return errors.Join(err, printed(out.Flush()))
}

// importReport is what import prints.
type importReport struct {
	Read     int `json:"read"`
	Imported int `json:"imported"`
	Newer    int `json:"newer"` // what is remembered already is as new, or newer
}

func importLedger(ctx context.Context, p Process, args []string, asJSON bool) error {
	in, closeInput, err := openInput(p, args)
	if err != nil {
		return err
	}
	defer closeInput()
	q, err := openQueueAlone(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = q.Close() }()
	var report importReport
	progress := newProgress(p)
	err = eachLine(in, func(number int, line []byte) error {
		imported, err := importLine(ctx, q, line)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		report.Read++
		if imported {
			report.Imported++
		} else {
			report.Newer++
		}
		progress.show("accounts", report.Read, 0)
		return nil
	})
	progress.done()
	text := fmt.Sprintf("%d read, %d imported, %d known as new or newer", report.Read, report.Imported, report.Newer)
	return errors.Join(newOutput(p, asJSON).one(report, text), err)
}

// maxLine is the longest line that import reads: an account's memory is a few KB, at most some hundred.
const maxLine = 8 << 20

func eachLine(r io.Reader, visit func(number int, line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for number := 1; lines.Scan(); number++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := visit(number, lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

const (
	busyTries = 240 // for a minute: no event takes longer, but for one that Seam keeps waiting
	busyPause = 250 * time.Millisecond
)

// importLine remembers one account, unless what is remembered is as new. A worker that holds it is waited for.
func importLine(ctx context.Context, q *queue.Queue, line []byte) (bool, error) {
	var l ledgerLine
	if err := json.Unmarshal(line, &l); err != nil || l.Account == "" {
		return false, errors.New("not a line of an export")
	}
	coming, err := readLedger(l.Ledger, l.Account)
	if err != nil {
		return false, err
	}
	for range busyTries {
		present, err := q.State(ctx, l.Account)
		if err != nil {
			return false, err
		}
		if newer, err := isNewer(coming, present, l.Account); !newer || err != nil {
			return false, err
		}
		stored, err := q.ReplaceState(ctx, l.Account, present, coming.Encode())
		if stored || err != nil && !errors.Is(err, queue.ErrBusy) {
			return stored, err
		}
		if err := pause(ctx, busyPause); err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("account %s: a worker has held it for a minute", l.Account)
}

// isNewer compares by the latest event known: one that is not even known beats nothing.
func isNewer(coming metadata.Ledger, present []byte, account string) (bool, error) {
	known, err := readLedger(present, account)
	if err != nil {
		return false, err
	}
	return present == nil || coming.OccurredAt.After(known.OccurredAt), nil
}

// pause waits, or ends with its context.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
