// Package drill pulls plugs on the real thing: the built binary in several processes, real Redis servers, the sandbox as
// Seam in a process of its own, and signed load through HTTP while something breaks. It is a test and nothing else: `go
// test` runs the short form, `make drill` all of it, writing docs/drills.md.
//
// For each fault it counts, in messages: accepted (answered 202 or 200), refused (attempts that got 503 or no answer; each
// is sent again under its id, as Svix does), tagged (accepted, and the account at Seam has its tags at the end), lost
// (accepted and not tagged), and doubled (updates at Seam beyond the one that an account needs, plus entries of the log
// beyond one a message, plus entries that are not in exactly one list of ended ones).
package drill
