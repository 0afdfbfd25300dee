package cli

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"seamtag/config"
	"seamtag/metadata"
	"seamtag/metadata/lookup"
)

// builder makes what metadata compiles out of what config has read.
type builder struct {
	dir     string // the rules file: other files are beside it
	metrics *lookup.Metrics
	callers int
	opened  []*lookup.Lookup
	errs    []error
}

func (b *builder) definition(file *config.Rules) metadata.Definition {
	d := metadata.Definition{Policy: policyOf(file.Policy)}
	if file.Copy != nil {
		d.Copy = expressions(file.Copy)
	}
	for _, tag := range file.Tags {
		d.Tags = append(d.Tags, metadata.TagDefinition{Key: tag.Name.Reveal(), Place: tag.Name, Value: expression(tag.Value)})
	}
	for _, item := range file.Lookups {
		d.Lookups = append(d.Lookups, b.lookup(item))
	}
	return d
}

func policyOf(p config.Policy) metadata.Policy {
	return metadata.Policy{
		Conflict: metadata.Conflict(p.Conflict), Budget: metadata.Budget(p.Budget), Prune: p.Prune, Restore: p.Restore,
		Drop: revealAll(p.Drop), Allow: revealAll(p.Allow),
	}
}

func expression(e config.Expression) metadata.Expression {
	return metadata.Expression{Text: e.Reveal(), Place: e}
}

func expressions(list []config.Expression) []metadata.Expression {
	all := make([]metadata.Expression, len(list))
	for i, e := range list {
		all[i] = expression(e)
	}
	return all
}

// question is one source with the parameters that it takes.
type question struct {
	system string
	source lookup.Source
	params []metadata.Expression
	table  bool // answers from memory
}

func (b *builder) lookup(item config.Item[config.Lookup]) metadata.LookupDefinition {
	l := &item.Value
	d := metadata.LookupDefinition{Name: item.Name.Reveal(), Place: item.Name, Missing: metadata.Missed(l.Missing)}
	q := b.question(l)
	d.System, d.Params = q.system, q.params
	if q.source == nil {
		return d
	}
	o := lookup.Options{
		Name: d.Name, Source: plainSource{q.source}, Timeout: time.Duration(l.Timeout), Retries: orOff(l.Retries),
		Cache: orOff(time.Duration(l.Cache)), CacheMisses: orOff(time.Duration(l.CacheMisses)), MaxEntries: l.MaxEntries,
		Concurrency: l.Concurrency, Callers: b.callers, Metrics: b.metrics,
		Breaker: lookup.Breaker{Failures: orOff(l.Breaker.Failures), Cooldown: time.Duration(l.Breaker.Cooldown)},
	}
	if q.table {
		o.Cache = -1
	}
	opened, err := lookup.New(o)
	if err != nil {
		b.errs = append(b.errs, item.Name.Fault(0, err.Error()))
		return d
	}
	b.opened = append(b.opened, opened)
	d.Lookup = asker{opened, d.Name}
	return d
}

// orOff is how the lookup package is told that something is off.
func orOff[T int | time.Duration](n T) T {
	if n == 0 {
		return -1
	}
	return n
}

func (b *builder) question(l *config.Lookup) question {
	switch {
	case l.SQL != nil:
		return b.sql(l)
	case l.HTTP != nil:
		return b.http(l.HTTP)
	case l.Redis != nil:
		return b.redis(l.Redis)
	default:
		return b.table(l.Table)
	}
}

// fault notes what a source says of its options, at the setting that is most likely meant.
func (b *builder) fault(at config.Text, err error) bool {
	if err != nil {
		b.errs = append(b.errs, at.Fault(0, err.Error()))
	}
	return err != nil
}

func (b *builder) sql(l *config.Lookup) question {
	q := question{system: "sql", params: expressions(l.SQL.Args)}
	source, err := lookup.NewSQL(lookup.SQLOptions{
		Driver: l.SQL.Driver, DSN: l.SQL.DSN.Reveal(), Query: l.SQL.Query.Reveal(),
		Timeout: time.Duration(l.Timeout), Pool: l.Concurrency,
	})
	if !b.fault(l.SQL.DSN, err) {
		q.source = source
	}
	return q
}

func (b *builder) http(h *config.HTTP) question {
	q := question{system: "http"}
	o := lookup.HTTPOptions{
		Method: h.Method, At: h.At.Reveal(), Bearer: h.Bearer.Reveal(), MaxBody: int64(h.MaxBody),
		TLS: lookup.TLSOptions{CAFile: b.beside(h.TLS.CA), CertFile: b.beside(h.TLS.Cert), KeyFile: b.beside(h.TLS.Key)},
	}
	if h.Basic != nil {
		o.Basic = lookup.Basic{User: h.Basic.User.Reveal(), Password: h.Basic.Password.Reveal()}
	}
	before := len(b.errs)
	// The order of the parameters is that of HTTP.Expressions: URL, headers by name, body.
	o.URL = b.template(h.URL, &q)
	headers := slices.SortedFunc(slices.Values(h.Headers), func(x, y config.Item[config.Template]) int {
		return strings.Compare(x.Name.Reveal(), y.Name.Reveal())
	})
	o.Headers = make(map[string]lookup.Template, len(headers))
	for _, header := range headers {
		o.Headers[header.Name.Reveal()] = b.template(header.Value, &q)
	}
	o.Body = b.template(h.Body, &q)
	if len(b.errs) > before {
		return q
	}
	source, err := lookup.NewHTTP(o)
	if !b.fault(h.URL.Text, err) {
		q.source = source
	}
	return q
}

func (b *builder) redis(r *config.Redis) question {
	q := question{system: "redis"}
	before := len(b.errs)
	o := lookup.RedisOptions{URL: r.URL.Reveal()}
	o.Hash, o.String, o.JSON = b.template(r.Hash, &q), b.template(r.String, &q), b.template(r.JSON, &q)
	if len(b.errs) > before {
		return q
	}
	source, err := lookup.NewRedis(o)
	if !b.fault(r.URL, err) {
		q.source = source
	}
	return q
}

func (b *builder) table(t *config.TableFile) question {
	q := question{system: "table", params: []metadata.Expression{expression(t.Value)}, table: true}
	source, err := lookup.NewTable(lookup.TableOptions{File: b.beside(t.File), Key: t.Key.Reveal(), Format: t.Format})
	if !b.fault(t.File, err) {
		q.source = source
	}
	return q
}

// beside is the path of a file that the rules name.
func (b *builder) beside(file config.Text) string {
	name := file.Reveal()
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(b.dir), name)
}

// template cuts a text into what stands and what is computed.
func (b *builder) template(t config.Template, q *question) lookup.Template {
	if !t.IsSet() {
		return lookup.Template{}
	}
	parsed, texts, err := lookup.ParseTemplate(t.Reveal())
	if wrong, ok := errors.AsType[*lookup.TemplateError](err); ok {
		b.errs = append(b.errs, t.Fault(wrong.Offset, wrong.Problem))
		return lookup.Template{}
	}
	for i, text := range texts {
		start := parsed.Offset(i)
		start += strings.Index(t.Reveal()[start:], text)
		q.params = append(q.params, metadata.Expression{Text: text, Place: inTemplate{t, start}})
	}
	return parsed
}

// inTemplate is the place of an expression within a template.
type inTemplate struct {
	config.Template

	start int
}

// Fault implements metadata.Place.
func (t inTemplate) Fault(offset int, problem string) error {
	return t.Template.Fault(t.start+offset, problem)
}

// plainSource answers numbers as numbers, once for all that find the answer in the cache.
type plainSource struct{ lookup.Source }

// Ask implements lookup.Source.
func (s plainSource) Ask(ctx context.Context, params []any) (any, error) {
	value, err := s.Source.Ask(ctx, params)
	return metadata.Plain(value), err
}

// asker is a lookup as metadata knows one, its answers traced.
type asker struct {
	*lookup.Lookup

	name string
}

// Ask implements metadata.Lookup.
func (a asker) Ask(ctx context.Context, params []any) (metadata.Answer, error) {
	began := time.Now()
	answer, err := a.Lookup.Ask(ctx, params)
	spanOfLookup(ctx, a.name, answer, err, time.Since(began))
	return metadata.Answer(answer), err
}

// Recall implements metadata.Lookup.
func (a asker) Recall(ctx context.Context, params []any) (metadata.Answer, bool) {
	answer, ok := a.Lookup.Recall(params)
	if ok {
		spanOfLookup(ctx, a.name, answer, nil, 0)
	}
	return metadata.Answer(answer), ok
}
