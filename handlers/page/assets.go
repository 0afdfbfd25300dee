package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"time"
)

//go:embed assets
var files embed.FS

// assets are the style, the script and the icon, under a path that changes with their content, so that browsers may keep
// them.
type assets struct {
	version string
	content map[string][]byte
}

func newAssets() (assets, error) {
	a := assets{content: map[string][]byte{}}
	all := sha256.New()
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		return a, fmt.Errorf("page: list assets: %w", err)
	}
	for _, entry := range entries {
		content, err := files.ReadFile("assets/" + entry.Name())
		if err != nil {
			return a, fmt.Errorf("page: read asset: %w", err)
		}
		all.Write(content)
		a.content[entry.Name()] = content
	}
	a.version = hex.EncodeToString(all.Sum(nil))[:12]
	return a, nil
}

func (a assets) path(name string) string { return "/assets/" + a.version + "/" + name }

// serve answers an asset by its exact name. There is no file system behind it.
func (a assets) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	content, known := a.content[name]
	if !known || r.PathValue("version") != a.version {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
