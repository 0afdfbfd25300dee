package handlers

import (
	_ "embed"
	"net/http"

	"github.com/labstack/echo/v4"
)

// openAPIDocument describes the admin API; a test holds it against the routes and the answers.
//
//go:embed openapi.json
var openAPIDocument []byte

// openAPI answers GET /api/openapi.json, behind the token like all of the admin API.
func openAPI(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/json", openAPIDocument)
}
