package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"seamtag/config"
	"seamtag/seam"
	"seamtag/seam/sandbox"
)

const sendHelp = `Send signed test events to a running seamtag, as Svix does for Seam.

They are signed with SEAM_WEBHOOK_SECRET (the first one, where it lists several). The account is looked up at Seam like any
other, so name one of your workspace to see it tagged.`

type sendOptions struct {
	url, account, webview, eventType string
	count                            int
	json                             bool
}

func newSend(p Process) *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use: "send", Short: "Send signed test events", Long: sendHelp, Args: noArgs,
		Example: "  seamtag send --account 7d6a9d0f-3c1e-4a05-a3a4-6d0a4f5f2b6e\n" +
			"  seamtag send --url https://seamtag.example/webhooks/seam --count 10 --json",
		RunE: func(cmd *cobra.Command, _ []string) error { return send(cmd.Context(), p, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "where to send; default: the webhook path on localhost at PORT")
	f.StringVar(&o.account, "account", "", "connected account id; default: a new one for each event")
	f.StringVar(&o.webview, "webview", "", "connect webview id; default: none")
	f.StringVar(&o.eventType, "type", seam.TypeAccountConnected, "event type")
	f.IntVar(&o.count, "count", 1, "how many events, each with an id of its own")
	jsonFlag(cmd, &o.json)
	return cmd
}

// sent is what send prints for an event.
type sent struct {
	HTTPStatus int    `json:"http_status"`
	Status     string `json:"status,omitempty"`
	ID         string `json:"id,omitempty"`
	Error      string `json:"error,omitempty"`
	MessageID  string `json:"message_id"`
	EventID    string `json:"event_id"`
	Account    string `json:"connected_account_id"`
}

func send(ctx context.Context, p Process, o sendOptions) error {
	c, err := load(p, (*config.Config).RequireWebhook)
	if err != nil {
		return err
	}
	if o.count < 1 {
		return usage(fmt.Errorf("--count %d: want at least 1", o.count))
	}
	if o.url == "" {
		o.url = fmt.Sprintf("http://localhost:%d/webhooks/seam", c.Port)
	}
	if !strings.HasPrefix(o.url, "http://") && !strings.HasPrefix(o.url, "https://") {
		return usage(fmt.Errorf("--url %s: want an http or https URL, such as http://localhost:8080/webhooks/seam", o.url))
	}
	sender := sandbox.Sender{URL: o.url, Secrets: c.WebhookSecrets.Reveal()[:1], Client: &http.Client{Timeout: 15 * time.Second}}
	t := newOutput(p, o.json).table("ANSWER", "", "ENTRY", "MESSAGE", "ACCOUNT")
	refused := 0
	for range o.count {
		one, err := sendOne(ctx, &sender, o)
		if err != nil {
			return err
		}
		if one.HTTPStatus >= http.StatusBadRequest {
			refused++
		}
		if err := errors.Join(t.add(one, one.cells()...), t.flush()); err != nil {
			return err
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d events were refused", refused, o.count)
	}
	return nil
}

func sendOne(ctx context.Context, sender *sandbox.Sender, o sendOptions) (sent, error) {
	account := o.account
	if account == "" {
		account = "test_account_" + strings.ToLower(rand.Text()[:12])
	}
	one := sent{MessageID: sandbox.NewMessageID(), EventID: "test_event_" + strings.ToLower(rand.Text()[:16]), Account: account}
	body, err := testEvent(one.EventID, account, o)
	if err != nil {
		return one, err
	}
	status, answer, err := sender.Send(ctx, one.MessageID, body)
	if err != nil {
		return one, fmt.Errorf("send to %s: %w", o.url, errors.Unwrap(err))
	}
	one.HTTPStatus = status
	if err := json.Unmarshal(answer, &one); err != nil && status < http.StatusBadRequest {
		one.Error = "the answer is not seamtag's: is --url right?"
	}
	return one, nil
}

// testEvent is an event as Seam sends it, with no more than the fields that every event has.
func testEvent(id, account string, o sendOptions) ([]byte, error) {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	event := map[string]string{
		"event_id": id, "event_type": o.eventType, "workspace_id": "test_workspace", "connected_account_id": account,
		"created_at": now, "occurred_at": now,
	}
	if o.webview != "" {
		event["connect_webview_id"] = o.webview
	}
	return json.Marshal(event)
}

// cells is the event as a row.
func (s *sent) cells() []cell {
	text, look := s.Status, green
	if s.Error != "" {
		text, look = s.Error, red
	}
	row := cells(strconv.Itoa(s.HTTPStatus), text, dash(s.ID), s.MessageID, s.Account)
	row[1].style = look
	return row
}
