package queue

import "time"

// Message is what the queue keeps: an opaque body and the few words it is found and ordered by.
type Message struct {
	ID         string    // the sender's message id; a second message with the same id is a duplicate (P2)
	EventID    string    // the vendor's event id, known again by a backfill; may be empty
	Type       string    // event type; may be empty
	Workspace  string    // workspace id; may be empty
	Key        string    // what entries are serialised and listed by: the connected account id; may be empty
	Webview    string    // connect webview id; may be empty
	Body       []byte    // the raw bytes as received, never interpreted here
	ReceivedAt time.Time // when it was received
	Trace      string    // the sender's place in a trace, handed on as it is and never a mark of identity; may be empty
}

// Receipt says where an accepted message is kept.
type Receipt struct {
	EntryID   string // the entry's id in the log; of the first message with this id where Duplicate
	Duplicate bool
}
