// Package metadata decides and writes the custom_metadata of one connected account.
//
// # What an account gets
//
// Rules give two things: initial values (copy) and tags. The whole object that is written is built in this order, and
// nowhere else in this project is the order stated:
//
//  1. The account's present metadata, whatever kind its values are of. Nothing else changes a key that seamtag does
//     not own.
//  2. What a reconnect wiped, when policy.restore: the event is newer than all that the ledger knows, its webview is
//     unknown to the ledger or not to be found, and of the remembered keys that this webview does not set none is left.
//     Then those come back, other systems' keys included. A loss that an earlier event saw, but could not judge, is
//     judged the same way as soon as the reconnect's own event comes.
//  3. Initial values, the later map of copy first, where the key is absent or null. Each key has one chance: one that
//     the ledger remembers, and that is absent now without a restore, was deleted by somebody and stays deleted.
//     An event older than the ledger gives initial values only if it brings a webview from before all known ones, or
//     after them: so two events end alike in whichever order they come.
//  4. Tags, which seamtag owns and keeps true. Over another writer's value as policy.conflict says: overwrite it, or
//     keep it and not own the key.
//  5. Minus the tags that seamtag wrote before and the rules no longer give, when policy.prune, unless somebody changed
//     the value meanwhile: then it is theirs.
//
// A key is owned when seamtag wrote its present value as a tag, never because a value happens to be what a rule gives.
//
// # Rules
//
// [Compile] makes rules of what a file says: expressions are type-checked, lookups are put in the order of what they take
// from each other, circles are refused. For each account only the lookups that a tag, a copy or another such lookup names
// are asked, those that do not wait for each other at the same time. In expressions what is not there is null, at any
// depth. A lookup without an answer ends the event as its [Missed] says ([MissingError]) or with its own error; a formula
// that fails is a [RuleError]. Every round against another writer computes anew. [Tagger.Explain] and [Tagger.Preview]
// compute the same and write nothing.
//
// # Which webview
//
// origin is the webview of the earliest event known of the account, webview that of the latest, both by occurred_at. An
// event that comes late moves them accordingly but restores nothing. The [Ledger] remembers both.
//
// # What is written
//
// The whole object, always: right where Seam replaces it as where it merges. Then it is read back. A difference means
// that somebody else wrote too; the decision is made again on what is there, three times at most. A removal that the
// read-back does not show is not claimed, and the key is disowned.
//
// Limits: 50 keys, keys of 40 characters, strings of 500, checked on what seamtag itself sets. Numbers become plain
// decimal text, times RFC 3339. Errors name keys, expressions and kinds, never values.
package metadata
