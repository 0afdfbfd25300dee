package seam

import "context"

// Webhook is a registered webhook. Secret is known once, in the answer to CreateWebhook: never log it.
type Webhook struct {
	ID         string   `json:"webhook_id"`
	URL        string   `json:"url"`
	EventTypes []string `json:"event_types"`
	Secret     string   `json:"secret"`
}

// CreateWebhook registers url for the event types; none means all of them.
func (c *Client) CreateWebhook(ctx context.Context, url string, types []string) (Webhook, error) {
	var answer struct {
		Webhook Webhook `json:"webhook"`
	}
	body := map[string]any{"url": url}
	if len(types) > 0 {
		body["event_types"] = types
	}
	if err := c.call(ctx, "/webhooks/create", body, "webhook", &answer); err != nil {
		return Webhook{}, err
	}
	return answer.Webhook, nil
}

// Webhooks lists the webhooks of the workspace.
func (c *Client) Webhooks(ctx context.Context) ([]Webhook, error) {
	var answer struct {
		Webhooks []Webhook `json:"webhooks"`
	}
	if err := c.call(ctx, "/webhooks/list", map[string]any{}, "webhooks", &answer); err != nil {
		return nil, err
	}
	return answer.Webhooks, nil
}
