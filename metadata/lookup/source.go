package lookup

import "context"

// Source asks one system once. NewSQL, NewHTTP, NewRedis and NewTable make them.
type Source interface {
	// Ask returns what the system holds for params: a map, a list or a scalar. It returns ErrMissing when there is
	// nothing, and an *Error when it could not find out. It ends when ctx does.
	Ask(ctx context.Context, params []any) (any, error)
	// Close gives back connections.
	Close() error
}
