package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is the environment. The tags are its only description: the table of `seamtag help environment` is made of them.
type Config struct {
	SeamAPIKey      Secret  `doc:"API key of one workspace"                                                      env:"SEAM_API_KEY"`
	SeamEndpoint    string  `doc:"where the Seam API is"                                                         env:"SEAM_ENDPOINT"       envDefault:"https://connect.getseam.com"`
	SeamWorkspaceID string  `doc:"workspace of a personal access token; an API key needs none"                   env:"SEAM_WORKSPACE_ID"`
	WebhookSecrets  Secrets `doc:"one or more signing secrets, by space or comma; one under 16 bytes is refused" env:"SEAM_WEBHOOK_SECRET"`

	RedisURL  Secret    `doc:"redis:// or rediss://; embedded is refused on Fly.io"          docDefault:"embedded" env:"REDIS_URL"`
	RedisMode RedisMode `doc:"standalone, cluster or sentinel"                               env:"REDIS_MODE"      envDefault:"standalone"`
	RedisAck  RedisAck  `doc:"replica waits for one replica before an event is acknowledged" env:"REDIS_ACK"       envDefault:"memory"`

	Port        Port   `doc:"webhooks, health, admin API"                           env:"PORT"         envDefault:"8080"`
	MetricsPort Port   `doc:"metrics"                                               env:"METRICS_PORT" envDefault:"9091"`
	AdminToken  Secret `doc:"without it the admin API and the dashboard answer 404" env:"ADMIN_TOKEN"`

	RulesFile string `doc:"the rules file; may be missing" env:"SEAMTAG_CONFIG" envDefault:"seamtag.yaml"`
	DataDir   string `doc:"folder of the embedded Redis"   env:"SEAMTAG_DATA"   envDefault:"seamtag-data"`

	Retention   Duration `doc:"how long ended events and message ids are kept"                        env:"SEAMTAG_RETENTION"     envDefault:"720h"`
	Concurrency Count    `doc:"events worked on at once, for each process"                            env:"SEAMTAG_CONCURRENCY"   envDefault:"16"`
	SeamRate    Rate     `doc:"API calls to Seam of all processes together, N/s or N/m"               env:"SEAMTAG_SEAM_RATE"     envDefault:"10/s"`
	GiveUpAfter Duration `doc:"how long an event is tried before it is dead"                          env:"SEAMTAG_GIVE_UP_AFTER" envDefault:"24h"`
	GapCheck    Interval `doc:"how often workers look for events that no webhook brought; 0 is never" env:"SEAMTAG_GAP_CHECK"     envDefault:"1h"`

	LogLevel  LogLevel  `doc:"debug, info, warn or error"             env:"LOG_LEVEL"   envDefault:"info"`
	LogFormat LogFormat `doc:"json or console; console on a terminal" docDefault:"json" env:"LOG_FORMAT"`

	AlertURL     Secret  `doc:"where alerts are posted, as JSON that Slack takes too" env:"ALERT_WEBHOOK_URL"`
	AlertSecrets Secrets `doc:"secrets to sign alerts with; unsigned without"         env:"ALERT_WEBHOOK_SECRET"`

	Tracing //nolint:embeddedstructfieldcheck // the order of the fields is that of the table

	// FlyAppName is set by Fly.io on its Machines.
	FlyAppName string `env:"FLY_APP_NAME"`

	rulesFileSet bool
}

// Error is a variable with a value that cannot be used.
type Error struct {
	Variable string
	Problem  string
}

// Error names the variable, then the problem.
func (e *Error) Error() string { return e.Variable + ": " + e.Problem }

// Load reads the environment, given as os.Environ gives it. The error joins one *Error for each variable that is wrong.
func Load(environ []string) (Config, error) {
	values := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" { // compose files pass unset variables on as empty ones
			values[name] = value
		}
	}
	var c Config
	err := env.ParseWithOptions(&c, env.Options{Environment: values})
	c.rulesFileSet = values["SEAMTAG_CONFIG"] != ""
	var errs []error
	if err != nil {
		errs = append(errs, named(err)...)
	}
	if !isPlainURL(c.SeamEndpoint) {
		errs = append(errs, &Error{"SEAM_ENDPOINT", "is not an http or https URL, such as https://connect.getseam.com"})
	}
	if c.AlertURL != "" && !isPlainURL(c.AlertURL.Reveal()) {
		errs = append(errs, &Error{"ALERT_WEBHOOK_URL", "is not an http or https URL without a user"})
	}
	return c, errors.Join(append(errs, c.check()...)...)
}

// named turns the library's errors into ours: it knows fields, people know variables.
func named(err error) []error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	errs := make([]error, 0, len(all.Errors))
	for _, one := range all.Errors {
		var parse env.ParseError
		if !errors.As(one, &parse) {
			errs = append(errs, one)
			continue
		}
		problem := parse.Err.Error()
		if cause := (&valueError{}); errors.As(parse.Err, &cause) {
			problem = cause.problem
		}
		errs = append(errs, &Error{variableOf(parse.Name), problem})
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func variableOf(field string) string {
	f, ok := reflect.TypeFor[Config]().FieldByName(field)
	if !ok {
		return field
	}
	return f.Tag.Get("env")
}

// RequireSeam checks what a process needs that calls the Seam API.
func (c *Config) RequireSeam() error {
	if c.SeamAPIKey == "" {
		return &Error{"SEAM_API_KEY", "is not set: create an API key in the Seam Console under Developer, API Keys"}
	}
	return nil
}

// RequireWebhook checks what a process needs that receives webhooks.
func (c *Config) RequireWebhook() error {
	if len(c.WebhookSecrets) == 0 {
		return &Error{"SEAM_WEBHOOK_SECRET", "is not set: it is shown once, when the webhook is created in the Seam Console"}
	}
	return nil
}

// RequireShared checks that Redis is one that several processes reach.
func (c *Config) RequireShared(why string) error {
	if c.RedisURL == "" {
		return &Error{"REDIS_URL", "is not set: " + why}
	}
	return nil
}

// WithoutRules leaves the rules file unread.
func (c *Config) WithoutRules() { c.RulesFile, c.rulesFileSet = "", false }

// SetRulesFile asks for a file, which then has to be there.
func (c *Config) SetRulesFile(file string) { c.RulesFile, c.rulesFileSet = file, true }

// CheckRulesFile answers the rules file's path; empty where there is none, which is allowed unless it was asked for.
func (c *Config) CheckRulesFile() (string, error) {
	_, err := os.Stat(c.RulesFile)
	switch {
	case err == nil:
		return c.RulesFile, nil
	case errors.Is(err, os.ErrNotExist) && !c.rulesFileSet:
		return "", nil
	}
	return "", &Error{"SEAMTAG_CONFIG", fmt.Sprintf("the rules file cannot be read: %v", err)}
}

// Table is the environment as a Markdown table, for the help and the README.
func Table() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range Variables() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, v.Default, v.Meaning)
	}
	return b.String()
}

// Variable is one variable that a person sets.
type Variable struct {
	Name    string
	Default string // in Markdown; a dash where there is none
	Meaning string
}

// Variables lists them in the order of the table.
func Variables() []Variable {
	var all []Variable
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		meaning := f.Tag.Get("doc")
		if meaning == "" {
			continue
		}
		preset := "–"
		if v := f.Tag.Get("envDefault"); v != "" {
			preset = "`" + v + "`"
		} else if v := f.Tag.Get("docDefault"); v != "" {
			preset = v
		}
		all = append(all, Variable{f.Tag.Get("env"), preset, meaning})
	}
	return all
}

// Names lists the variables that a person sets.
func Names() []string {
	names := make([]string, 0, len(Variables()))
	for _, v := range Variables() {
		names = append(names, v.Name)
	}
	return names
}

// Duration is a positive time.Duration, written as Go writes them.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v <= 0 {
		return invalid("%q is not a positive duration: write it as 90s, 15m or 720h (there is no unit for days)", text)
	}
	*d = Duration(v)
	return nil
}
