package metadata

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/types"

	"seamtag/internal/spelling"
)

// subjects are the names in expressions that are no lookups.
var subjects = []string{"event", "account", "webview", "origin"}

// reserved are words of the expression language.
var reserved = []string{
	"true", "false", "nil", "not", "and", "or", "in", "matches", "contains", "startsWith", "endsWith", "let", "if", "else",
}

var nameForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func isName(s string) bool { return nameForm.MatchString(s) }

var (
	anyObject    = types.Map{types.Extra: types.Any}
	webviewTypes = types.Map{"custom_metadata": anyObject, types.Extra: types.Any}
	subjectTypes = types.Map{
		"event": types.Map{
			"event_id": types.String, "event_type": types.String, "connected_account_custom_metadata": anyObject, types.Extra: types.Any,
		},
		"account": types.Map{"connected_account_id": types.String, "custom_metadata": anyObject, types.Extra: types.Any},
		"webview": webviewTypes,
		"origin":  webviewTypes,
	}
)

// Fields that Seam documents. Others are read too, as Seam adds some; they are noted.
var (
	eventFields = []string{
		"event_id", "event_type", "workspace_id", "created_at", "occurred_at", "connected_account_id", "connect_webview_id",
		"customer_key", "connected_account_custom_metadata",
	}
	accountFields = []string{
		"connected_account_id", "account_type", "account_type_display_name", "automatically_manage_new_devices", "created_at",
		"custom_metadata", "customer_key", "display_name", "image_url", "user_identifier", "accepted_capabilities", "errors", "warnings",
	}
	webviewFields = []string{
		"connect_webview_id", "connected_account_id", "workspace_id", "custom_metadata", "customer_key", "status", "created_at",
		"authorized_at", "login_successful", "selected_provider", "accepted_providers", "accepted_devices", "accepted_capabilities",
		"any_provider_allowed", "any_device_allowed", "automatically_manage_new_devices", "custom_redirect_url",
		"custom_redirect_failure_url", "device_selection_mode", "wait_for_device_creation",
	}
)

// noteUnknownFields notes what is probably misspelt.
func (c *compiler) noteUnknownFields(e Expression, paths [][]string) {
	fields := map[string][]string{"event": eventFields, "account": accountFields, "webview": webviewFields, "origin": webviewFields}
	for _, path := range paths {
		known, subject := fields[path[0]]
		if !subject || len(path) == 1 || slices.Contains(known, path[1]) {
			continue
		}
		name := strings.Join(path[:2], ".")
		note := fmt.Sprintf("%s is no field that Seam documents, so it will most likely be null", name)
		if hint := spelling.DidYouMean(path[1], known); strings.HasPrefix(hint, ",") {
			note += hint
		}
		c.rules.notes = append(c.rules.notes, fmt.Sprintf("%s (%s)", note, e.Text))
	}
}
