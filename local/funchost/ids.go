package funchost

import (
	"crypto/rand"
	"encoding/hex"
)

// newTraceparent returns a W3C traceparent with the flags that a host with classic Application Insights gives: 00.
func newTraceparent() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return "00-" + hex.EncodeToString(b[:16]) + "-" + hex.EncodeToString(b[16:]) + "-00"
}
