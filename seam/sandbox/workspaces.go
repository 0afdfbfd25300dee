package sandbox

func (s *Sandbox) getWorkspace(params) (map[string]any, func(), *refusal) {
	return map[string]any{"workspace": map[string]any{
		"workspace_id": s.workspaceID, "name": "Sandbox", "company_name": "Sandbox", "is_sandbox": true,
		"is_suspended": false, "is_publishable_key_auth_enabled": false, "connect_partner_name": nil,
		"connect_webview_customization": map[string]any{},
	}}, nil, nil
}
