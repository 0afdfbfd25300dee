package lookup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions name a server and one key: as a hash (all its fields), a string, or a string that holds JSON. Exactly one
// of the three templates is given. The parameters of Ask come in the order of the template's expressions.
type RedisOptions struct {
	URL    string // redis:// or rediss://
	Hash   Template
	String Template
	JSON   Template
}

// Redis reads one key of the user's own server.
type Redis struct {
	client *redis.Client
	key    Template
	read   func(ctx context.Context, client *redis.Client, key string) (any, error)
}

var _ Source = (*Redis)(nil)

// NewRedis checks the options; nothing is asked yet.
func NewRedis(o RedisOptions) (*Redis, error) {
	options, err := redis.ParseURL(o.URL)
	if err != nil {
		// The parser's own words repeat the URL, which can hold a password.
		return nil, errors.New("redis: the url is not valid, want redis://user:password@host:port/database or rediss://")
	}
	source := &Redis{}
	given := 0
	for _, form := range []struct {
		key  Template
		read func(context.Context, *redis.Client, string) (any, error)
	}{{o.Hash, readHash}, {o.String, readString}, {o.JSON, readJSON}} {
		if !form.key.IsZero() {
			given++
			source.key, source.read = form.key, form.read
		}
	}
	if given != 1 {
		return nil, errors.New("redis: want exactly one of hash, string and json")
	}
	tune(options)
	source.client = redis.NewClient(options)
	return source, nil
}

// tune leaves retrying to the Lookup, lets a context end a read, and sends nothing that an old server does not know.
func tune(o *redis.Options) {
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.PoolSize = 8
	o.ConnMaxIdleTime = 5 * time.Minute
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// Expressions are the key's expressions in the order in which Ask takes their values.
func (r *Redis) Expressions() []string { return r.key.Expressions() }

// Ask reads the key. An absent key is ErrMissing.
func (r *Redis) Ask(ctx context.Context, params []any) (any, error) {
	key, err := r.key.Render(Key, params)
	if err != nil {
		return nil, named("redis", err)
	}
	value, err := r.read(ctx, r.client, key)
	if err == nil || errors.Is(err, ErrMissing) {
		return value, err
	}
	return nil, redisFault(err)
}

// Close closes the connections.
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil {
		return fmt.Errorf("close the connections: %w", err)
	}
	return nil
}

func readHash(ctx context.Context, client *redis.Client, key string) (any, error) {
	fields, err := client.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, err //nolint:wrapcheck // Ask describes it
	}
	if len(fields) == 0 {
		return nil, ErrMissing
	}
	row := make(map[string]any, len(fields))
	for name, value := range fields {
		row[name] = value
	}
	return row, nil
}

func readString(ctx context.Context, client *redis.Client, key string) (any, error) {
	value, err := client.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // Ask describes it
	}
	return value, nil
}

func readJSON(ctx context.Context, client *redis.Client, key string) (any, error) {
	stored, err := readString(ctx, client, key)
	if err != nil {
		return nil, err
	}
	held, _ := stored.(string)
	value, err := decodeJSON([]byte(held))
	if err != nil {
		return nil, permanent("redis", "the key holds a string that is not JSON")
	}
	if value == nil {
		return nil, ErrMissing
	}
	return value, nil
}

// redisFault keeps the first word of what the server said, its error code; the rest can repeat keys and values.
func redisFault(err error) error {
	if lookupErr, ok := errors.AsType[*Error](err); ok {
		return lookupErr
	}
	if replied, ok := errors.AsType[redis.Error](err); ok {
		code, _, _ := strings.Cut(replied.Error(), " ")
		return &Error{System: "redis", Kind: redisKind(code), Detail: "the server answered " + code}
	}
	if fault := connectionFault("redis", "", err); fault != nil {
		return fault
	}
	if errors.Is(err, redis.ErrPoolTimeout) {
		return &Error{System: "redis", Kind: Timeout, Detail: "no free connection in time"}
	}
	if errors.Is(err, redis.ErrClosed) {
		return ErrClosed
	}
	return &Error{System: "redis", Kind: Transport, Detail: "connection failed"}
}

func redisKind(code string) Kind {
	switch code {
	case "LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY":
		return Unavailable
	default:
		return Permanent
	}
}
