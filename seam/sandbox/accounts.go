package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"unicode/utf16"

	"seamtag/seam"
)

// The limits of Seam's types for custom_metadata. Characters are counted as JavaScript counts them, in UTF-16 units.
const (
	maxKeys      = 50
	maxKeyLength = 40
	maxValue     = 500
)

// account is a connected account as Seam answers it.
type account struct {
	ID          string        `json:"connected_account_id"`
	WorkspaceID string        `json:"workspace_id"`
	CreatedAt   string        `json:"created_at"`
	AccountType string        `json:"account_type"`
	TypeName    string        `json:"account_type_display_name"`
	DisplayName string        `json:"display_name"`
	CustomerKey string        `json:"customer_key,omitempty"`
	Metadata    seam.Metadata `json:"custom_metadata"`
	Managed     bool          `json:"automatically_manage_new_devices"`
	User        struct {
		Email string `json:"email"`
	} `json:"user_identifier"`
}

func (s *Sandbox) getAccount(p params) (map[string]any, func(), *refusal) {
	a, no := s.findAccount(p)
	if no != nil {
		return nil, nil, no
	}
	return map[string]any{"connected_account": a}, nil, nil
}

func (s *Sandbox) listAccounts(p params) (map[string]any, func(), *refusal) {
	var is issues
	key := p.text("customer_key", &is)
	match := func(a *account) bool { return key == "" || a.CustomerKey == key }
	found, pagination, no := page(&s.accounts, p, key, match, &is)
	if no != nil {
		return nil, nil, no
	}
	return map[string]any{"connected_accounts": found, "pagination": pagination}, nil, nil
}

func (s *Sandbox) updateAccount(p params) (map[string]any, func(), *refusal) {
	var is issues
	p.required("connected_account_id", &is)
	md, given := p["custom_metadata"]
	var object map[string]any
	if given {
		object = checkMetadata(md, &is)
	}
	if no := is.refusal(); no != nil {
		return nil, nil, no
	}
	a, no := s.findAccount(p)
	if no != nil {
		no.Data = map[string]any{"connected_account_id": p["connected_account_id"]}
		return nil, nil, no
	}
	if given {
		a.Metadata = s.updated(a.Metadata, object)
	}
	var after func()
	if hook, id := s.onUpdate, a.ID; hook != nil {
		after = func() { hook(id) }
	}
	return map[string]any{"connected_account": a}, after, nil
}

// updated is the metadata after an update.
func (s *Sandbox) updated(old, sent seam.Metadata) seam.Metadata {
	if s.semantics == Merge {
		merged := copyOf(old)
		maps.Copy(merged, sent)
		return merged
	}
	replaced := copyOf(sent)
	maps.DeleteFunc(replaced, func(_ string, v any) bool { return v == nil })
	return replaced
}

// checkMetadata holds the object against Seam's types.
func checkMetadata(v any, is *issues) map[string]any {
	const field = "custom_metadata"
	object, ok := v.(map[string]any)
	if !ok {
		is.add("Expected object, received "+kindOf(v), field)
		return nil
	}
	before := len(*is)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if length(key) > maxKeyLength {
			is.add(fmt.Sprintf("String must contain at most %d character(s)", maxKeyLength), field, key)
		}
		switch v := object[key].(type) {
		case nil, bool:
		case string:
			if length(v) > maxValue {
				is.add(fmt.Sprintf("String must contain at most %d character(s)", maxValue), field, key)
			}
		default:
			for _, want := range []string{"string", "boolean", "null"} {
				is.add("Expected "+want+", received "+kindOf(v), field, key)
			}
		}
	}
	if len(object) > maxKeys && len(*is) == before { // zod refines only what is valid otherwise
		is.add(fmt.Sprintf("Custom metadata is limited to a maximum of %d keys", maxKeys), field)
	}
	return object
}

func length(s string) int { return len(utf16.Encode([]rune(s))) }

func (s *Sandbox) findAccount(p params) (*account, *refusal) {
	var is issues
	id := p.required("connected_account_id", &is)
	if no := is.refusal(); no != nil {
		return nil, no
	}
	a, ok := s.accounts.get(id)
	if !ok {
		return nil, notFound("connected_account_not_found", "Connected account not found")
	}
	return a, nil
}

func notFound(errorType, message string) *refusal {
	return &refusal{Status: http.StatusNotFound, Type: errorType, Message: message}
}
