package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"seamtag/config"
)

const rulesTestHelp = `Run tests of the rules: files named *.test.yaml, each with cases of an event, an account, a webview and what the
lookups answer, and what is to become of the account. Nobody is asked: no database, no service, not Seam.

Without arguments it runs those beside the rules file. docs/rules.md shows their form. It ends with exit code 1 when a case
fails, and with 2 when a file is wrong.`

func newRulesTest(p Process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "test [file or folder]...", Short: "Run tests of the rules", Long: rulesTestHelp, Args: cobra.ArbitraryArgs,
		Example: "  seamtag rules test\n  seamtag rules test examples\n  seamtag rules test users.test.yaml --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return rulesTest(cmd.Context(), p, args, newOutput(p, asJSON))
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// testedCase is what rules test prints of a case.
type testedCase struct {
	File     string   `json:"file"`
	Case     string   `json:"case"`
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"`
}

func rulesTest(ctx context.Context, p Process, paths []string, out *output) error {
	c, err := load(p)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{filepath.Dir(c.RulesFile)}
	}
	files, err := testFiles(paths)
	if err != nil {
		return usage(err)
	}
	passed, failed := 0, 0
	for _, file := range files {
		tests, err := config.ReadRulesTests(file)
		if err != nil {
			return usage(err)
		}
		for i := range tests.Cases {
			problems, err := runRulesCase(ctx, p, file, &tests, &tests.Cases[i])
			if err != nil {
				return usage(err)
			}
			one := testedCase{File: file, Case: tests.Cases[i].Name, OK: len(problems) == 0, Problems: problems}
			if err := out.one(one, out.describeCase(one)); err != nil {
				return err
			}
			if one.OK {
				passed++
			} else {
				failed++
			}
		}
	}
	if !out.json {
		if err := out.one(nil, fmt.Sprintf("%d passed, %d failed", passed, failed)); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s of %d failed", plural(failed, "case"), passed+failed)
	}
	return nil
}

func (o *output) describeCase(c testedCase) string {
	if c.OK {
		return fmt.Sprintf("%s  %s: %s", o.paint(green, "ok  "), c.File, c.Case)
	}
	return fmt.Sprintf("%s  %s: %s\n        %s", o.paint(red, "FAIL"), c.File, c.Case, strings.Join(c.Problems, "\n        "))
}

var errNoTests = errors.New("there is no file named *.test.yaml")

// testFiles are the files given, and those of the folders given.
func testFiles(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		found, err := testFilesOf(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		files = append(files, found...)
	}
	return slices.Compact(files), nil
}

func testFilesOf(path string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && (name == path || strings.HasSuffix(name, ".test.yaml")) {
			files = append(files, name)
		}
		return nil
	})
	if missing := (*fs.PathError)(nil); errors.As(err, &missing) {
		return nil, missing.Err
	}
	if err == nil && len(files) == 0 {
		err = errNoTests
	}
	return files, err
}

// equalJSON compares two values as JSON has them: 1 and 1.0 are one number.
func equalJSON(a, b any) bool {
	return bytes.Equal(canonical(a), canonical(b))
}
