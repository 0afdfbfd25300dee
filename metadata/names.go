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

// The fields of Seam's objects that this package reads itself.
const (
	fieldEventID    = "event_id"
	fieldOccurredAt = "occurred_at"
	fieldEventType  = "event_type"
	fieldAccountID  = "connected_account_id"
	fieldMetadata   = "custom_metadata"
	fieldCreatedAt  = "created_at"
)

// subjectTypes are what is known of the subjects before anything runs.
func subjectTypes() types.Map {
	object := types.Map{types.Extra: types.Any}
	webview := types.Map{fieldMetadata: object, types.Extra: types.Any}
	return types.Map{
		"event": types.Map{
			fieldEventID: types.String, fieldEventType: types.String, "connected_account_custom_metadata": object, types.Extra: types.Any,
		},
		"account": types.Map{fieldAccountID: types.String, fieldMetadata: object, types.Extra: types.Any},
		"webview": webview,
		"origin":  webview,
	}
}

// Fields that Seam documents. Others are read too, as Seam adds some; they are noted.
var (
	eventFields = []string{
		fieldEventID, fieldEventType, "workspace_id", fieldCreatedAt, fieldOccurredAt, fieldAccountID, "connect_webview_id",
		"customer_key", "connected_account_custom_metadata",
	}
	accountFields = []string{
		fieldAccountID, "account_type", "account_type_display_name", "automatically_manage_new_devices", fieldCreatedAt,
		fieldMetadata, "customer_key", "display_name", "image_url", "user_identifier", "accepted_capabilities", "errors", "warnings",
	}
	webviewFields = []string{
		"connect_webview_id", fieldAccountID, "workspace_id", fieldMetadata, "customer_key", "status", fieldCreatedAt,
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
