package cli

import (
	"errors"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"seamtag/config"
	"seamtag/metadata"
	"seamtag/metadata/lookup"
	"seamtag/seam"
)

// rulesOptions say where rules come from and what they work with.
type rulesOptions struct {
	config  *config.Config
	environ []string
	seam    metadata.Seam   // nil where nothing is tagged
	metrics *lookup.Metrics // nil for none
}

// ruleSet is a rules file in force, its lookups ready to be asked; or what holds without a file.
type ruleSet struct {
	file    string // empty without one
	events  []string
	rules   *metadata.Rules
	tagger  *metadata.Tagger // computes, with or without writing
	lookups []*lookup.Lookup
	users   sync.WaitGroup
}

// openRules reads, compiles and checks the rules as every command does. What is wrong is wrong use. Nobody is asked yet.
func openRules(o rulesOptions) (*ruleSet, error) {
	file, err := o.config.CheckRulesFile()
	if err != nil {
		return nil, usage(err)
	}
	set := &ruleSet{file: file, events: []string{seam.TypeAccountConnected}, rules: metadata.DefaultRules()}
	if file != "" {
		if err := set.read(o); err != nil {
			set.close()
			return nil, usage(err)
		}
	}
	set.tagger = metadata.New(metadata.Options{Seam: o.seam, Rules: set.rules})
	return set, nil
}

func (s *ruleSet) read(o rulesOptions) error {
	file, err := config.ReadRules(s.file, o.environ)
	if err != nil {
		return err
	}
	if file.Events != nil {
		s.events = revealAll(file.Events)
	}
	b := &builder{dir: s.file, metrics: o.metrics, callers: shareOfWorkers(int(o.config.Concurrency))}
	definition := b.definition(&file)
	s.lookups = b.opened
	rules, err := metadata.Compile(definition)
	s.rules = rules
	return errors.Join(byPlace(append(b.errs, err))...)
}

// wantedTypes are the event types that the rules ask for, for a command that needs no more of them.
func wantedTypes(p Process) ([]string, error) {
	c, err := load(p)
	if err != nil {
		return nil, err
	}
	set, err := openRules(rulesOptions{config: &c, environ: p.Environ})
	if err != nil {
		return nil, err
	}
	set.close()
	return set.events, nil
}

// shareOfWorkers is how many of a process's workers one lookup may hold up: half, so that the others go on.
func shareOfWorkers(workers int) int { return max(1, workers/2) }

// byPlace sorts errors of the rules file by where they are.
func byPlace(errs []error) []error {
	var all []*config.RulesError
	for _, err := range errs {
		found := config.RulesErrors(err)
		if err != nil && len(found) == 0 {
			return errs
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b *config.RulesError) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	sorted := make([]error, len(all))
	for i, one := range all {
		sorted[i] = one
	}
	return sorted
}

func (s *ruleSet) wants(eventType string) bool { return slices.Contains(s.events, eventType) }

// close ends the lookups once nobody uses them.
func (s *ruleSet) close() {
	s.users.Wait()
	for _, l := range s.lookups {
		_ = l.Close() // gives back connections; nothing is lost with them
	}
}

// currentRules is the set in force. Whoever uses one keeps it until the end, whatever takes over meanwhile.
type currentRules struct {
	mu  sync.Mutex
	set *ruleSet
}

// use answers the set in force; call release once done with it.
func (c *currentRules) use() (set *ruleSet, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set.users.Add(1)
	return c.set, c.set.users.Done
}

// events are the types that are wanted now.
func (c *currentRules) events() []string {
	set, release := c.use()
	defer release()
	return set.events
}

// replace puts another set in force and ends the old one after its last user.
func (c *currentRules) replace(next *ruleSet) {
	c.mu.Lock()
	old := c.set
	c.set = next
	c.mu.Unlock()
	old.close()
}

func (c *currentRules) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set.close()
}

// reload reads the rules again: good ones take over between two events, bad ones change nothing.
func (c *currentRules) reload(o rulesOptions, log zerolog.Logger) {
	next, err := openRules(o)
	if err != nil {
		log.Error().Err(err).Msg("the changed rules are refused, the old ones stay in force")
		return
	}
	c.replace(next)
	next.describe(log)
}

// describe logs what is in force.
func (s *ruleSet) describe(log zerolog.Logger) {
	if s.file == "" {
		log.Info().Msg("no rules file: accounts get the metadata of their webviews")
		return
	}
	log.Info().Str("file", s.file).Int("lookups", len(s.lookups)).Strs("events", s.events).Msg("rules in force")
	for _, note := range s.rules.Describe().Notes {
		log.Warn().Str("file", s.file).Str("note", note).Msg("the rules may not mean what they say")
	}
}

func revealAll(texts []config.Text) []string {
	values := make([]string, len(texts))
	for i, t := range texts {
		values[i] = t.Reveal()
	}
	return values
}
