package portal

import (
	"embed"
	"net/http"
	"path"
)

//go:embed page
var pageFiles embed.FS

// page serves the page and its files, and answers 404 to everything else.
func page() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "page.html"
		if r.URL.Path != "/" {
			name = r.URL.Path[1:]
			if ext := path.Ext(name); ext != ".css" && ext != ".js" {
				http.NotFound(w, r)
				return
			}
		}
		http.ServeFileFS(w, r, pageFiles, path.Join("page", name)) //nolint:gosec // G703: only the page's files exist here
	})
}
