// Package sandbox is a pretend Seam: an http.Handler with the endpoints this service uses, and a Sender that delivers
// signed events as Svix does. `seamtag demo` runs on it, and so does every integration test.
//
// It does what Seam's documentation says (Replace), or what Seam's own fake does (Merge). A conformance suite runs
// the same behaviours against both and against the fake, and lists where they differ on purpose. On top it plays
// what a test cannot order from Seam: reconnects that wipe metadata, revoked keys, outages, rate limits, dropped
// connections, and other writers.
package sandbox
