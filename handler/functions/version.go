package functions

import (
	"context"
	"net/http"
)

// Build says which program this is.
type Build struct {
	// Commit is the one that the program was built of, with +changed behind it where files had been changed since. Empty where
	// that is not known.
	Commit string `json:"commit,omitzero"`
	// SHA256 is the checksum of the program's file, in lower-case hexadecimal digits. Empty where it cannot be read.
	SHA256 string `json:"sha256,omitzero"`
}

// version answers which program this is, for whoever has just published one. It asks nobody else and tells nobody.
func (h *Handler) version(_ context.Context, w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, "application/json", h.build())
}
