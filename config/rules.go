package config

import "time"

// Rules is a rules file: checked for its form, its meaning is for metadata to find. The tags are the only description of
// the format: the reader and the JSON Schema are made of them. yaml names the key; need, oneof, min and max bound the
// value; doc says what it is for.
type Rules struct {
	Version int                `doc:"1, the version of this format"                                  max:"1"        min:"1" need:"true" yaml:"version"`
	Events  []Text             `doc:"event types that are wanted; others are answered 200 ignored"   yaml:"events"`
	Lookups []Item[Lookup]     `doc:"what is asked of your own systems, by name"                     yaml:"lookups"`
	Copy    []Expression       `doc:"maps of initial values, later map wins"                         yaml:"copy"`
	Tags    []Item[Expression] `doc:"keys that seamtag owns and keeps true, each with an expression" yaml:"tags"`
	Policy  Policy             `doc:"how the rules meet what is already there"                       yaml:"policy"`
}

// Item is a value with its name, in the order of the file.
type Item[V any] struct {
	Name  Text
	Value V
}

// Lookup is one question to one of the user's systems: exactly one of SQL, HTTP, Redis and Table.
type Lookup struct {
	SQL   *SQL       `doc:"a row of a database"                   yaml:"sql"`
	HTTP  *HTTP      `doc:"an answer of a JSON service"           yaml:"http"`
	Redis *Redis     `doc:"a key of a Redis of yours"             yaml:"redis"`
	Table *TableFile `doc:"a row of a file beside the rules file" yaml:"table"`

	Missing     string    `doc:"what follows when nothing is found: retry, empty for {}, skip or dead"    oneof:"retry empty skip dead" yaml:"missing"`
	Cache       Duration0 `doc:"how long an answer is remembered; 0s turns it off"                        yaml:"cache"`
	CacheMisses Duration0 `doc:"how long it is remembered that there is nothing; never longer than cache" yaml:"cache_misses"`
	MaxEntries  int       `doc:"answers remembered"                                                       max:"10000000"                min:"1"        yaml:"max_entries"`
	Timeout     Duration  `doc:"for the whole answer, retries included"                                   yaml:"timeout"`
	Retries     int       `doc:"further tries after an error of the connection"                           max:"10"                      min:"0"        yaml:"retries"`
	Concurrency int       `doc:"asks at a time"                                                           max:"1000"                    min:"1"        yaml:"concurrency"`
	Breaker     Breaker   `doc:"when a system is left alone"                                              yaml:"breaker"`
}

// Breaker opens after failures in a row.
type Breaker struct {
	Failures int      `doc:"in a row until nobody is asked; 0 for no breaker" max:"1000000"   min:"0" yaml:"failures"`
	Cooldown Duration `doc:"then one ask tries"                               yaml:"cooldown"`
}

// SQL is one query.
type SQL struct {
	Driver string       `doc:"kind of database"                                            need:"true" oneof:"postgres mysql sqlite" yaml:"driver"`
	DSN    Text         `doc:"as the driver takes it"                                      need:"true" secret:"true"                 yaml:"dsn"`
	Query  Text         `doc:"one statement; $1 … (postgres) or ? … are bound to args"     need:"true" yaml:"query"`
	Args   []Expression `doc:"the parameters, in order"                                    yaml:"args"`
}

// HTTP is one request.
type HTTP struct {
	URL     Template         `doc:"with {expressions} in path and query"                                         need:"true"      yaml:"url"`
	Method  string           `doc:"how it is asked"                                                              oneof:"GET POST" yaml:"method"`
	Headers []Item[Template] `doc:"with {expressions}"                                                           secret:"true"    yaml:"headers"`
	Body    Template         `doc:"JSON of a POST; an {expression} is a whole value, braces of JSON are doubled" yaml:"body"`
	At      Text             `doc:"the part of the answer to take, dotted"                                       yaml:"at"`
	Bearer  Text             `doc:"sent as Authorization: Bearer"                                                secret:"true"    yaml:"bearer"`
	Basic   *Basic           `doc:"sent as Authorization: Basic"                                                 yaml:"basic"`
	TLS     TLS              `doc:"PEM files, relative to the rules file"                                        yaml:"tls"`
	MaxBody int              `doc:"bytes of an answer that are read"                                             max:"67108864"   min:"1"        yaml:"max_body"`
}

// Basic is a user and a password.
type Basic struct {
	User     Text `doc:"user name" need:"true" yaml:"user"`
	Password Text `doc:"password"  need:"true" secret:"true" yaml:"password"`
}

// TLS names PEM files.
type TLS struct {
	CA   Text `doc:"authorities trusted besides the system's" yaml:"ca"`
	Cert Text `doc:"certificate of the client; needs key"     yaml:"cert"`
	Key  Text `doc:"key of the client's certificate"          yaml:"key"`
}

// Redis is one key, read in exactly one of three forms.
type Redis struct {
	URL    Text     `doc:"redis:// or rediss://"    need:"true"   secret:"true" yaml:"url"`
	Hash   Template `doc:"a hash: all its fields"   yaml:"hash"`
	String Template `doc:"a string"                 yaml:"string"`
	JSON   Template `doc:"a string that holds JSON" yaml:"json"`
}

// TableFile is a file of rows.
type TableFile struct {
	File   Text       `doc:"relative to the rules file"                                 need:"true"           yaml:"file"`
	Key    Text       `doc:"the column to look in; not needed for an object of objects" yaml:"key"`
	Value  Expression `doc:"what to look for"                                           need:"true"           yaml:"value"`
	Format string     `doc:"by the file's ending by default"                            oneof:"csv json yaml" yaml:"format"`
}

// Policy is how the rules meet what is already there.
type Policy struct {
	Conflict string `doc:"a tag meets a value that seamtag did not write"                   oneof:"overwrite keep" yaml:"conflict"`
	Budget   string `doc:"more than 50 keys: an error, or do without those that drop lists" oneof:"fail drop"      yaml:"budget"`
	Prune    bool   `doc:"remove tags that seamtag wrote and the rules no longer give"      yaml:"prune"`
	Restore  bool   `doc:"bring back what a reconnect wiped"                                yaml:"restore"`
	Drop     []Text `doc:"with budget: drop, the keys to do without, first one first"       yaml:"drop"`
	Allow    []Text `doc:"when given, the only keys that may ever be written"               yaml:"allow"`
}

// Duration0 is a Duration that may be zero, which turns something off.
type Duration0 time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration0) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return invalid("%q is not a duration: write it as 90s, 15m or 720h, or 0s", text)
	}
	*d = Duration0(v)
	return nil
}

// The defaults, which the reader reads over and the schema tells.
func defaultRules() Rules {
	return Rules{Policy: Policy{Conflict: "overwrite", Budget: "fail", Prune: true, Restore: true}}
}

func defaultLookup() Lookup {
	return Lookup{
		Missing: "retry", Cache: Duration0(time.Minute), CacheMisses: Duration0(10 * time.Second), MaxEntries: 10_000,
		Timeout: Duration(5 * time.Second), Retries: 2, Concurrency: 4, Breaker: Breaker{Failures: 5, Cooldown: Duration(30 * time.Second)},
	}
}
