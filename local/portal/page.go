package portal

import (
	"embed"
	"net/http"
)

//go:embed page.html page.css page.js
var pageFiles embed.FS

// page serves the page's three files, and 404 for all that nothing else serves.
func page() http.Handler {
	files := http.FileServerFS(pageFiles)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.ServeFileFS(w, r, pageFiles, "page.html")
		case "/page.css", "/page.js":
			files.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}
