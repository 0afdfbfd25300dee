// Package queue is durable at-least-once delivery of opaque messages on a Redis Stream that is also the archive.
//
// # The guarantee
//
// A message that [Publisher.Publish] acknowledged is worked on until it has ended, visibly: tagged, unchanged, skipped or
// dead. An entry is in exactly one place: unread in the log, in flight (pending in the consumer group: the lease),
// waiting (in due), or ended. Each step from one place to the next is one atomic script, so no crash can leave an entry in
// none or in two:
//
//	          publish            read                settle
//	message ──────────▶ unread ─────────▶ in flight ─────────▶ ended ──trim──▶ forgotten
//	                                       ▲     │               │
//	                               due     │     │ settle        │ replay
//	                                       └── waiting ◀─────────┘
//
// What a dead worker left in flight is rescued by another once its lease has run out. Deliveries that ended without any
// outcome are counted apart from failures: the fifth buries the entry as poison. Failures wait for [Backoff] and are
// buried with their last error after GiveUpAfter.
//
// # Keys and their state
//
// Entries that bear the same [Message.Key] are worked on one at a time, whatever the number of processes: starting work
// takes the key's lock, with the same lease as the entry. For each key the queue keeps one opaque state, handed to the
// handler and replaced in the same script that ends the entry, so no crash can separate an outcome from what is
// remembered of it. A worker that slept past its lease is fenced: [Delivery.Fence] says so before it acts, and settling
// changes nothing.
package queue
