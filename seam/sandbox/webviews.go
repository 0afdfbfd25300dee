package sandbox

import "seamtag/seam"

// webview is a Connect Webview as Seam answers it.
type webview struct {
	ID              string        `json:"connect_webview_id"`
	WorkspaceID     string        `json:"workspace_id"`
	AccountID       *string       `json:"connected_account_id"`
	Status          string        `json:"status"`
	LoginSuccessful bool          `json:"login_successful"`
	CreatedAt       string        `json:"created_at"`
	AuthorizedAt    *string       `json:"authorized_at"`
	CustomerKey     string        `json:"customer_key,omitempty"`
	Metadata        seam.Metadata `json:"custom_metadata"`
	URL             string        `json:"url"`
}

func (s *Sandbox) getWebview(p params) (map[string]any, func(), *refusal) {
	var is issues
	id := p.required("connect_webview_id", &is)
	if no := is.refusal(); no != nil {
		return nil, nil, no
	}
	w, ok := s.webviews.get(id)
	if !ok {
		return nil, nil, notFound("connect_webview_not_found", "Connect webview not found")
	}
	return map[string]any{"connect_webview": w}, nil, nil
}

func (s *Sandbox) listWebviews(p params) (map[string]any, func(), *refusal) {
	var is issues
	key := p.text("customer_key", &is)
	match := func(w *webview) bool { return key == "" || w.CustomerKey == key }
	found, pagination, no := page(&s.webviews, p, key, match, &is)
	if no != nil {
		return nil, nil, no
	}
	return map[string]any{"connect_webviews": found, "pagination": pagination}, nil, nil
}

func (s *Sandbox) createWebview(p params) (map[string]any, func(), *refusal) {
	var is issues
	spec := WebviewSpec{CustomerKey: p.text("customer_key", &is)}
	if md, ok := p["custom_metadata"]; ok {
		spec.Metadata = checkMetadata(md, &is)
	}
	if no := is.refusal(); no != nil {
		return nil, nil, no
	}
	return map[string]any{"connect_webview": s.addWebview(spec)}, nil, nil
}
