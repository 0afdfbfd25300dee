package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// everyCommand are all commands, hidden ones and cobra's own included.
func everyCommand(parent *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{parent}
	for _, c := range parent.Commands() {
		all = append(all, everyCommand(c)...)
	}
	return all
}

func runs(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), Process{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

func TestHelpIsThatOfTheGoldenFiles(t *testing.T) {
	dir := filepath.Join("testdata", "help")
	var names []string
	for _, c := range everyCommand(newRoot(Process{})) {
		args := strings.Fields(c.CommandPath())[1:]
		name := strings.Join(append([]string{"seamtag"}, args...), "-") + ".txt"
		names = append(names, name)
		code, got, errs := runs(t, append(args, "--help")...)
		if code != exitDone || errs != "" {
			t.Errorf("%s --help: exit %d, %s", c.CommandPath(), code, errs)
		}
		file := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v (write it with: go test ./cli -run HelpIs -update)", err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s --help (-golden +got; write it anew with: go test ./cli -run HelpIs -update)\n%s", c.CommandPath(), diff)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(names, f.Name()) {
			t.Errorf("%s is the help of no command", f.Name())
		}
	}
}

func TestEveryCommandHasExamplesAndRefusesNonsense(t *testing.T) {
	for _, c := range everyCommand(newRoot(Process{})) {
		if c.Name() == "seamtag" || c.Name() == "environment" { // the root lists the commands, a topic runs nothing
			continue
		}
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no example or no short help", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > 120 || !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: the example %q is too long or not indented", c.CommandPath(), line)
			}
		}
		args := strings.Fields(c.CommandPath())[1:]
		if code, _, errs := runs(t, append(args, "--no-such-flag")...); code != exitUsage || !strings.Contains(errs, "no-such-flag") {
			t.Errorf("%s --no-such-flag: exit %d, %s", c.CommandPath(), code, errs)
		}
	}
}

func TestCompletionsAreScriptsThatShellsRead(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, script, errs := runs(t, "completion", shell)
		if code != exitDone || errs != "" || !strings.Contains(script, "seamtag") {
			t.Errorf("completion %s: exit %d, %s", shell, code, errs)
		}
		if shell != "bash" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("bash does not read it: %v\n%s", err, out)
		}
	}
	if code, _, _ := runs(t, "completion", "tcsh"); code != exitUsage {
		t.Errorf("completion tcsh: exit %d", code)
	}
	if _, words, _ := runs(t, "__complete", "events", "list", "--status", ""); !strings.Contains(words, "retrying") {
		t.Errorf("the words of --status: %s", words)
	}
}

func TestTheManualNamesEverything(t *testing.T) {
	code, page, errs := runs(t, "manual")
	if code != exitDone || errs != "" {
		t.Fatalf("exit %d, %s", code, errs)
	}
	for _, c := range everyCommand(newRoot(Process{})) {
		if c.IsAvailableCommand() && c.Runnable() && !c.HasSubCommands() && c.Name() != "help" && !strings.Contains(page, roff(c.CommandPath())) {
			t.Errorf("it lacks %s", c.CommandPath())
		}
	}
	for _, part := range []string{`SEAM_API_KEY`, `.SH "EXIT STATUS"`, `\-\-dry\-run`} {
		if !strings.Contains(page, part) {
			t.Errorf("it lacks %s", part)
		}
	}
}
