package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// RulesTests is a file of tests of a rules file.
type RulesTests struct {
	Rules string            `yaml:"rules"` // beside this file; default seamtag.yaml
	Env   map[string]string `yaml:"env"`   // what ${NAME} reads, over the environment
	Cases []RulesCase       `yaml:"cases"`
}

// RulesCase is one account, what is answered about it, and what is to become of it.
type RulesCase struct {
	Name       string                  `yaml:"name"`
	Event      map[string]any          `yaml:"event"`      // fields of the event, over those of a connected account
	Account    map[string]any          `yaml:"account"`    // as Seam answers it
	Webview    map[string]any          `yaml:"webview"`    // of the event; none where it is left out
	Origin     map[string]any          `yaml:"origin"`     // the first webview, where it is another one
	Remembered map[string]any          `yaml:"remembered"` // the metadata when the account was last tagged
	Owned      map[string]any          `yaml:"owned"`      // of these, the tags that seamtag wrote
	Lookups    map[string]CannedAnswer `yaml:"lookups"`
	Expect     Expectation             `yaml:"expect"`
}

// CannedAnswer is what a lookup answers in a case: one of Value, Missing and Error.
type CannedAnswer struct {
	Asked   []any  `yaml:"asked"` // the parameters that it has to be asked with; not checked where left out
	Value   any    `yaml:"value"`
	Missing bool   `yaml:"missing"`
	Error   string `yaml:"error"` // the system does not answer
}

// Expectation is what is to become of the account. What is left out is not checked.
type Expectation struct {
	Status   string         `yaml:"status"`
	Reason   string         `yaml:"reason"`
	Error    string         `yaml:"error"` // a part of the text
	Metadata map[string]any `yaml:"metadata"`
	Set      map[string]any `yaml:"set"`
	Removed  []string       `yaml:"removed"`
	Restored []string       `yaml:"restored"`
}

// expectedStatuses are those that a case can end in.
var expectedStatuses = []string{"tagged", "unchanged", "skipped", "retrying", "dead"}

// ReadRulesTests reads a file of tests. Its errors are *RulesError.
func ReadRulesTests(file string) (RulesTests, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return RulesTests{}, &RulesError{File: file, Problem: "cannot be read: " + errors.Unwrap(err).Error()}
	}
	src := newSource(file, data)
	tests := RulesTests{Rules: "seamtag.yaml"}
	if err := yaml.UnmarshalWithOptions(data, &tests, yaml.Strict()); err != nil {
		return RulesTests{}, src.located(err)
	}
	return tests, tests.check(file)
}

// located is an error of the YAML library as one of ours.
func (s *source) located(err error) error {
	e, ok := errors.AsType[yaml.Error](err)
	if !ok || e.GetToken() == nil {
		return s.whole("not YAML: " + err.Error())
	}
	at := e.GetToken().Position
	return place{source: s, line: at.Line, column: max(1, at.Column)}.faultf("%s", e.GetMessage())
}

func (t *RulesTests) check(file string) error {
	if len(t.Cases) == 0 {
		return &RulesError{File: file, Problem: "there is no case: want cases: with a list"}
	}
	seen := map[string]bool{}
	for i, c := range t.Cases {
		problem := ""
		switch {
		case c.Name == "":
			problem = fmt.Sprintf("case %d has no name", i+1)
		case seen[c.Name]:
			problem = fmt.Sprintf("two cases are named %q", c.Name)
		case c.Expect.Status == "":
			problem = fmt.Sprintf("case %q expects no status: want one of %s", c.Name, strings.Join(expectedStatuses, ", "))
		case !slices.Contains(expectedStatuses, c.Expect.Status):
			problem = fmt.Sprintf("case %q expects status %q: want one of %s", c.Name, c.Expect.Status, strings.Join(expectedStatuses, ", "))
		}
		if problem != "" {
			return &RulesError{File: file, Problem: problem}
		}
		seen[c.Name] = true
	}
	return nil
}
