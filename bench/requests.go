package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	svix "github.com/svix/svix-webhooks/go"
)

const (
	secret      = "whsec_c2VhbXRhZy1iZW5jaC1zZWNyZXQtMzItYnl0ZXMhIQ=="
	webhookPath = "/webhooks/seam"
)

// events are bodies as Seam sends them, each about an account of its own.
func events(n int) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		body, err := json.Marshal(map[string]any{
			"event_id": newID(), "event_type": "connected_account.connected", "workspace_id": "b4f7b1a5-4f4e-4b8e-9d7f-7a2d1c0e9f10",
			"created_at": "2026-11-23T12:00:00.000Z", "occurred_at": "2026-11-23T12:00:00.000Z",
			"connected_account_id": newID(), "connect_webview_id": newID(), "customer_key": "customer-4711",
			"connected_account_custom_metadata": map[string]string{"internal_account_id": "user-4711", "plan": "gold", "region": "eu-west"},
		})
		if err != nil {
			panic(err) // strings alone
		}
		all[i] = body
	}
	return all
}

func newID() string { return "b1e2c3d4-" + strings.ToLower(rand.Text()) }

// signed makes HTTP requests of bodies, ready to be written to a connection.
func signed(bodies [][]byte) ([][]byte, error) {
	webhook, err := svix.NewWebhook(secret)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	all := make([][]byte, len(bodies))
	now := time.Now()
	for i, body := range bodies {
		id := "msg_" + rand.Text()
		signature, err := webhook.Sign(id, now, body)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: seamtag.example\r\nUser-Agent: Svix-Webhooks/1.99\r\nAccept: */*\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\nsvix-id: %s\r\nsvix-timestamp: %d\r\nsvix-signature: %s\r\n\r\n%s",
			webhookPath, len(body), id, now.Unix(), signature, body)
		all[i] = b.Bytes()
	}
	return all, nil
}
