package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"seamtag/config"
	"seamtag/metadata"
)

const rulesCheckHelp = `Read the rules file as serve does, and say what is wrong with it or what it says.

It is SEAMTAG_CONFIG, or the file given. Nobody is asked: databases and services may be away. What is wrong ends the
command with exit code 2, each with file, line and column.`

func newRules(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "rules", Short: "Check and test the rules file", Args: noArgs,
		Example: "  seamtag rules check\n  seamtag rules test",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRulesCheck(p), newRulesTest(p))
	return cmd
}

func newRulesCheck(p Process) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check [file]", Short: "Say what is wrong with the rules file, or what it says", Long: rulesCheckHelp, Args: atMostOneArg,
		Example: "  seamtag rules check\n  seamtag rules check seamtag.yaml --json",
		RunE: func(_ *cobra.Command, args []string) error {
			return rulesCheck(p, strings.Join(args, ""), newOutput(p, asJSON))
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// checkedRules is what rules check prints with --json.
type checkedRules struct {
	*metadata.Description

	File   string             `json:"file,omitempty"`
	OK     bool               `json:"ok"`
	Errors []checkedRuleError `json:"errors,omitempty"`
	Events []string           `json:"events,omitempty"`
}

type checkedRuleError struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Problem string `json:"problem"`
}

func rulesCheck(p Process, file string, out *output) error {
	c, err := load(p)
	if err != nil {
		return err
	}
	if file != "" {
		c.SetRulesFile(file)
	}
	set, err := openRules(rulesOptions{config: &c, environ: p.Environ})
	if err != nil {
		if wrong := config.RulesErrors(err); out.json && len(wrong) > 0 {
			if err := out.one(refused(wrong), ""); err != nil {
				return err
			}
		}
		return err
	}
	defer set.close()
	d := set.rules.Describe()
	return out.one(checkedRules{File: set.file, OK: true, Events: set.events, Description: &d}, describeRules(set, d))
}

func refused(wrong []*config.RulesError) checkedRules {
	found := checkedRules{File: wrong[0].File}
	for _, e := range wrong {
		found.Errors = append(found.Errors, checkedRuleError{Line: e.Line, Column: e.Column, Problem: e.Problem})
	}
	return found
}

func describeRules(set *ruleSet, d metadata.Description) string {
	var b strings.Builder
	if set.file == "" {
		b.WriteString("no rules file: accounts get the metadata of their webviews")
	} else {
		fmt.Fprintf(&b, "%s is right: %s, %s asked", set.file, plural(len(d.Tags), "tag"), plural(len(d.Lookups), "lookup"))
	}
	section := func(name string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n\n%s\n  %s", name, strings.Join(lines, "\n  "))
		}
	}
	section("events", set.events)
	lookups, tags := make([]string, 0, len(d.Lookups)), make([]string, 0, len(d.Tags))
	for _, l := range d.Lookups {
		lookups = append(lookups, fmt.Sprintf("%s: %s(%s), missing: %s", l.Name, l.System, strings.Join(l.Params, ", "), l.Missing))
	}
	for _, t := range d.Tags {
		tags = append(tags, t.Key+": "+t.Expression)
	}
	section("lookups, as they are asked", lookups)
	section("copy", d.Copy)
	section("tags", tags)
	section("notes", d.Notes)
	return b.String()
}
