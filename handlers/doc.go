// Package handlers is everything of seamtag that answers HTTP, and nothing that decides: the webhook's door, health and the
// admin API.
//
// The door promises: a 202 is sent only after the Publisher accepted the message (P1); the message id is that of the
// header set whose signature verified, never of another one beside it (P2); a request that does not verify costs no
// call to the Publisher; nothing that is secret or personal reaches a log line, an answer or a metric (P9).
package handlers
