// Package lookup asks the user's own systems (SQL databases, HTTP services, Redis, table files) for what the rules need.
//
// A Source asks one system once. A Lookup wraps a Source with everything that keeps a sick system from making its caller
// sick: one timeout for the whole answer, retries of transport errors, a cache with single flight and remembered misses, a
// limit on concurrent asks, a circuit breaker, and metrics. The package knows nothing of rules files or of who asks.
//
// # What a parameter can change
//
// Parameters come from events, so from strangers. They are bound in SQL; elsewhere a Template escapes each for its place.
// In a URL they can change neither scheme, host, port, path depth nor the names in the query; in a header neither the
// number of headers nor of lines; in a Redis command neither the command nor the number of its arguments. What cannot be
// said safely is refused with an error. A null parameter finds nothing: the answer is Missing, and nobody is asked.
//
// # What an error says
//
// An error names the lookup, the kind of system and what went wrong, never a parameter, a URL, a DSN, a header, a response
// body or a database's own message, because all of these can hold secrets or personal data.
package lookup
