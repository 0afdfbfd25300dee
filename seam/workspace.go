package seam

import "context"

// Workspace is what an API key belongs to.
type Workspace struct {
	ID          string `json:"workspace_id"`
	Name        string `json:"name"`
	CompanyName string `json:"company_name"`
	IsSandbox   bool   `json:"is_sandbox"`
	IsSuspended bool   `json:"is_suspended"`
}

// Workspace reads the workspace of the key: the cheapest call to learn whether the key is right.
func (c *Client) Workspace(ctx context.Context) (Workspace, error) {
	var answer struct {
		Workspace Workspace `json:"workspace"`
	}
	if err := c.call(ctx, "/workspaces/get", map[string]any{}, "workspace", &answer); err != nil {
		return Workspace{}, err
	}
	return answer.Workspace, nil
}
