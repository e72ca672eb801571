package outbox_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"userrelay/handler/delivery"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started returns the stand-in of the service, its outbox, and a context for the test.
func started(t *testing.T) (*storagequeue.Server, *outbox.Queue, context.Context) {
	t.Helper()
	s := queuetest.Start(t, storagequeue.Config{})
	return s, open(t, s.ConnectionString()), wait.Context(t)
}

// open returns the outbox of a connection string.
func open(t *testing.T, connection string) *outbox.Queue {
	t.Helper()
	return newQueue(t, outbox.Config{Account: must.Get[outbox.Account](t)(outbox.ParseConnectionString(connection))})
}

// at returns the outbox of an account at an address, with a key that the stand-in does not know.
func at(t *testing.T, address string) *outbox.Queue {
	t.Helper()
	return open(t, "AccountName=devstoreaccount1;AccountKey="+key+";QueueEndpoint="+address)
}

func newQueue(t *testing.T, c outbox.Config) *outbox.Queue {
	t.Helper()
	q := must.Get[*outbox.Queue](t)(outbox.New(c))
	t.Cleanup(q.Close)
	return q
}

// put puts a message into the outbox.
func put(t *testing.T, q *outbox.Queue, m registration.Envelope, hidden time.Duration) delivery.Kept {
	t.Helper()
	return must.Get[delivery.Kept](t)(q.Put(wait.Context(t), m, hidden))
}

// take returns the visible messages of the outbox, and hides them for longer than the test takes.
func take(t *testing.T, q *outbox.Queue) []delivery.Received {
	t.Helper()
	return must.Get[[]delivery.Received](t)(q.Receive(wait.Context(t), 32, time.Hour))
}

func message(i int) registration.Envelope {
	return registration.Envelope{
		Event:  registration.Event{ID: "e-" + strconv.Itoa(i), UserID: "auth0|ż", Source: "urn:auth0:acme", Time: time.Unix(1, 0).UTC()},
		Queued: time.Unix(2, 0).UTC(), Reason: "unavailable",
	}
}

// secured starts an https service that accepts tokens, and returns a client that trusts it.
func secured(t *testing.T) (*storagequeue.Server, *http.Client) {
	t.Helper()
	certificate := httptest.NewTLSServer(nil) // for its certificate, and a client that trusts it
	certificate.Close()
	client := certificate.Client()
	t.Cleanup(client.CloseIdleConnections)
	return queuetest.Start(t, storagequeue.Config{Certificate: &certificate.TLS.Certificates[0]}), client
}

// bearer makes a token for Storage like Entra ID's, without a valid signature.
func bearer(expires time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	since := time.Now().Add(-time.Hour).Unix()
	return part(`{"alg":"none","typ":"JWT"}`) + "." + part(fmt.Sprintf(`{"aud":"https://storage.azure.com",`+
		`"iss":"https://sts.windows.net/00000000-0000-0000-0000-000000000000/","nbf":%d,"iat":%d,"exp":%d}`,
		since, since, expires.Unix())) + "."
}
