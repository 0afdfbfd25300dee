package config

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// valueError is what is wrong with a value, said to a person.
type valueError struct{ problem string }

func (e *valueError) Error() string { return e.problem }

func invalid(format string, args ...any) error { return &valueError{fmt.Sprintf(format, args...)} }

// oneOf checks a word of a closed list.
func oneOf[T ~string](text []byte, words ...T) (T, error) {
	if w := T(text); slices.Contains(words, w) {
		return w, nil
	}
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = string(w)
	}
	return "", invalid("%q is none of %s", text, strings.Join(list, ", "))
}

// Secret is a value that no formatting shows.
type Secret string

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[secret]"
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal is the value itself.
func (s Secret) Reveal() string { return string(s) }

// Secrets are webhook signing secrets.
type Secrets []Secret

// leastSecret is the shortest signing secret that is accepted, in bytes.
const leastSecret = 16

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Secrets) UnmarshalText(text []byte) error {
	list := strings.FieldsFunc(string(text), func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' })
	for i, one := range list {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "whsec_"))
		switch {
		case err != nil:
			return invalid("secret %d of %d is not base64 after whsec_: copy it whole, as the Seam Console shows it", i+1, len(list))
		case len(key) < leastSecret:
			return invalid("secret %d of %d has %d bytes, at least %d are needed: was it cut short?", i+1, len(list), len(key), leastSecret)
		}
		*s = append(*s, Secret(one))
	}
	return nil
}

// Reveal lists the values themselves.
func (s Secrets) Reveal() []string {
	list := make([]string, len(s))
	for i, one := range s {
		list[i] = one.Reveal()
	}
	return list
}

// Interval is a Duration that may be 0, for never.
type Interval time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Interval) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return invalid("%q is neither a duration, such as 15m or 1h, nor 0", text)
	}
	*i = Interval(v)
	return nil
}

// Rate is a number of calls in a time.
type Rate struct {
	Calls int
	Per   time.Duration
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	count, unit, _ := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(count)
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute}[unit]
	if err != nil || n < 1 || !known {
		return invalid("%q is not a rate: write it as 10/s or 300/m", text)
	}
	*r = Rate{Calls: n, Per: per}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) {
	unit := "s"
	if r.Per == time.Minute {
		unit = "m"
	}
	return fmt.Appendf(nil, "%d/%s", r.Calls, unit), nil
}

// PerSecond is the rate in calls a second.
func (r Rate) PerSecond() float64 { return float64(r.Calls) / r.Per.Seconds() }

// Port is a TCP port; 0 takes any free one.
type Port uint16

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Port) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return invalid("%q is not a port: give a number from 0 to 65535", text)
	}
	*p = Port(n)
	return nil
}

// Count is a number of at least one.
type Count int

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Count) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > 10_000 {
		return invalid("%q is not a number from 1 to 10000", text)
	}
	*c = Count(n)
	return nil
}

// RedisMode is the kind of Redis.
type RedisMode string

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *RedisMode) UnmarshalText(text []byte) (err error) {
	*m, err = oneOf[RedisMode](text, "standalone", "cluster", "sentinel")
	return err
}

// RedisAck is when a publish counts as accepted.
type RedisAck string

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *RedisAck) UnmarshalText(text []byte) (err error) {
	*a, err = oneOf[RedisAck](text, "memory", "replica")
	return err
}

// LogLevel is the least level that is logged.
type LogLevel string

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LogLevel) UnmarshalText(text []byte) (err error) {
	*l, err = oneOf[LogLevel](text, "debug", "info", "warn", "error")
	return err
}

// LogFormat is how log lines look.
type LogFormat string

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *LogFormat) UnmarshalText(text []byte) (err error) {
	*f, err = oneOf[LogFormat](text, "json", "console")
	return err
}
