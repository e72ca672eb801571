package functions

import (
	"context"
	"net/http"
)

// Build says which program this is.
type Build struct {
	// Commit is the commit that the program was built from, with the suffix +changed if files had been changed since
	// then. It is empty if unknown.
	Commit string `json:"commit,omitzero"`
	// SHA256 is the checksum of the program's file, in lower-case hexadecimal digits. It is empty if the file cannot
	// be read.
	SHA256 string `json:"sha256,omitzero"`
}

// version answers which build is running, so that a deployment can be verified. It makes no request and reports
// nothing.
func (h *Handler) version(_ context.Context, w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, "application/json", h.build())
}
