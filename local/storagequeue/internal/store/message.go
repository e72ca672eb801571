package store

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

// Message is a message as it is at one moment.
type Message struct {
	ID       string
	Text     string
	Inserted time.Time
	Expires  time.Time // Never: it does not
	Visible  time.Time // from when on Get and Peek find it
	Receipt  string    // what Update and Delete ask for; another one after every Get and Update
	Dequeued int       // how often Get has returned it
}

// Never is the expiry of a message that does not expire, the last moment that the service's dates can say.
func Never() time.Time { return time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC) }

// newReceipt returns a receipt like the service's own: base64, whose + and / a client must escape in a URL.
func newReceipt() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
