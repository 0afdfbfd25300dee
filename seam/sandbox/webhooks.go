package sandbox

import (
	"crypto/rand"
	_ "embed" // the event types
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// eventTypes are the types Seam knows, one a line, from its OpenAPI description.
//
//go:embed event_types.txt
var eventTypes string

// webhook is a registered webhook as Seam answers it. Its secret is answered once, when it is created.
type webhook struct {
	ID         string   `json:"webhook_id"`
	URL        string   `json:"url"`
	EventTypes []string `json:"event_types"`
}

func (s *Sandbox) createWebhook(p params) (map[string]any, func(), *refusal) {
	var is issues
	link := p.required("url", &is)
	if u, err := url.Parse(link); len(is) == 0 && (err != nil || u.Scheme == "" || u.Host == "") {
		is.add("Invalid url", "url")
	}
	types := p.texts("event_types", &is)
	if no := is.refusal(); no != nil {
		return nil, nil, no
	}
	if types == nil {
		types = []string{"*"}
	}
	if no := checkTypes(types); no != nil {
		return nil, nil, no
	}
	h := &webhook{ID: s.newID(), URL: link, EventTypes: types}
	s.webhooks.add(h.ID, h)
	return map[string]any{"webhook": map[string]any{
		"webhook_id": h.ID, "url": h.URL, "event_types": h.EventTypes, "secret": newSecret(),
	}}, nil, nil
}

func (s *Sandbox) getWebhook(p params) (map[string]any, func(), *refusal) {
	h, no := s.findWebhook(p)
	if no != nil {
		return nil, nil, no
	}
	return map[string]any{"webhook": h}, nil, nil
}

func (s *Sandbox) listWebhooks(params) (map[string]any, func(), *refusal) {
	all := make([]*webhook, 0, len(s.webhooks.items))
	for _, it := range s.webhooks.items {
		all = append(all, it.val)
	}
	return map[string]any{"webhooks": all}, nil, nil
}

func (s *Sandbox) updateWebhook(p params) (map[string]any, func(), *refusal) {
	var is issues
	types := p.texts("event_types", &is)
	if types == nil {
		is.add("Required", "event_types")
	}
	if no := is.refusal(); no != nil {
		return nil, nil, no
	}
	h, no := s.findWebhook(p)
	if no == nil {
		no = checkTypes(types)
	}
	if no != nil {
		return nil, nil, no
	}
	h.EventTypes = types
	return nil, nil, nil
}

func (s *Sandbox) deleteWebhook(p params) (map[string]any, func(), *refusal) {
	h, no := s.findWebhook(p)
	if no != nil {
		return nil, nil, no
	}
	s.webhooks.remove(h.ID)
	return nil, nil, nil
}

func (s *Sandbox) findWebhook(p params) (*webhook, *refusal) {
	var is issues
	id := p.required("webhook_id", &is)
	if no := is.refusal(); no != nil {
		return nil, no
	}
	h, ok := s.webhooks.get(id)
	if !ok {
		return nil, notFound("webhook_not_found", "webhook not found")
	}
	return h, nil
}

func checkTypes(types []string) *refusal {
	if slices.Equal(types, []string{"*"}) {
		return nil
	}
	known := strings.Fields(eventTypes)
	for _, t := range types {
		if !slices.Contains(known, t) {
			return &refusal{Status: http.StatusBadRequest, Type: "invalid_event_types", Message: "Invalid event types"}
		}
	}
	return nil
}

// newSecret is 24 random bytes, as Svix makes them.
func newSecret() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	return "whsec_" + base64.StdEncoding.EncodeToString(b[:])
}
