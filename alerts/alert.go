package alerts

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Kind is what an alert is about.
type Kind string

// The kinds.
const (
	Dead   Kind = "dead"   // an event was buried
	Paused Kind = "paused" // all work stopped
	Gap    Kind = "gap"    // events had been missed
)

// Alert is what somebody should know. It holds ids and counts, never a value, an address or a text of an event.
type Alert struct {
	Kind    Kind
	Reason  string // a short word, like the label of a metric; empty where the kind says it all
	EntryID string // of dead
	EventID string
	Account string
	Missed  int // of gap: how many events were found
}

// topic is what alerts are held back by.
func (a *Alert) topic() string { return string(a.Kind) + ":" + a.Reason }

// body is what is sent: a payload as Standard Webhooks advises, with the text that Slack shows.
type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Text      string    `json:"text"`
	Data      data      `json:"data"`
}

type data struct {
	Reason   string `json:"reason,omitempty"`
	EntryID  string `json:"entry_id,omitempty"`
	EventID  string `json:"event_id,omitempty"`
	Account  string `json:"connected_account_id,omitempty"`
	Missed   int    `json:"missed,omitempty"`
	HeldBack int    `json:"held_back"`
}

// encode makes the body of an alert; held is how many like it were held back here since the last one.
func (a *Alert) encode(at time.Time, held int) ([]byte, error) {
	d := data{Reason: a.Reason, EntryID: a.EntryID, EventID: word(a.EventID), Account: word(a.Account), Missed: a.Missed, HeldBack: held}
	text := a.text(d.Account)
	if held > 0 {
		text += fmt.Sprintf(" Held back here since the last alert like this: %d.", held)
	}
	encoded, err := json.Marshal(body{Type: "seamtag." + string(a.Kind), Timestamp: at.UTC().Truncate(time.Millisecond), Text: text, Data: d})
	if err != nil {
		return nil, fmt.Errorf("alerts: encode: %w", err)
	}
	return encoded, nil
}

// text is a line for people. Nothing in it means anything to Slack's markup.
func (a *Alert) text(account string) string {
	switch a.Kind {
	case Dead:
		of := ""
		if account != "" {
			of = " of account " + account
		}
		return fmt.Sprintf("seamtag: an event%s was buried (%s). Its payload is kept; see: seamtag events show %s", of, a.Reason, a.EntryID)
	case Paused:
		return fmt.Sprintf("seamtag: PAUSED (%s): Seam refuses the API key. Nothing is lost; work goes on by itself once SEAM_API_KEY is right.",
			a.Reason)
	case Gap:
		return fmt.Sprintf("seamtag: %d events had not come by webhook. They were found at Seam and queued now. "+
			"Does Seam still send to this webhook, and does its secret fit?", a.Missed)
	}
	return "seamtag: " + a.topic()
}

const longestWord = 64

// word is an id as the vendor makes them. What an event gives as one can be any text, and is left out then.
func word(id string) string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	if len(id) > longestWord || strings.ContainsFunc(id, odd) {
		return ""
	}
	return id
}
