package handlers

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// Page is what a browser is shown. Its routes are patterns of net/http with a method, such as "GET /events/{id}".
type Page interface {
	http.Handler
	Routes() []string
	// SignedIn tells whether a request comes from who has signed in, out of the page itself.
	SignedIn(r *http.Request) bool
}

// remoteKey is where the context of a page's request holds the client's address.
type remoteKey struct{}

// Remote is the client's address of a request to a Page, by which it can be told from others.
func Remote(r *http.Request) string {
	remote, _ := r.Context().Value(remoteKey{}).(string)
	return remote
}

func mountPage(e *echo.Echo, p Page) {
	serve := func(c echo.Context) error {
		r := c.Request()
		p.ServeHTTP(c.Response(), r.WithContext(context.WithValue(r.Context(), remoteKey{}, visitOf(c).remote)))
		return nil
	}
	paths := strings.NewReplacer("{$}", "", "{", ":", "}", "")
	for _, route := range p.Routes() {
		method, path, _ := strings.Cut(route, " ")
		e.Add(method, paths.Replace(path), serve)
	}
}
