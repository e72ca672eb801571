package outbox_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"go.uber.org/goleak"

	"userrelay/handler/identity"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/storagequeue"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns the outbox of a connection string.
func open(t *testing.T, connection string) *outbox.Queue {
	t.Helper()
	a, err := outbox.ParseConnectionString(connection)
	if err != nil {
		t.Fatal(err)
	}
	return newQueue(t, outbox.Config{Account: a})
}

func newQueue(t *testing.T, c outbox.Config) *outbox.Queue {
	t.Helper()
	q, err := outbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// take returns the visible messages of a queue, and hides them for longer than the test takes.
func take(t *testing.T, q *azqueue.QueueClient) []*azqueue.DequeuedMessage {
	t.Helper()
	most, hold := int32(32), int32(3600)
	resp, err := q.DequeueMessages(wait.Context(t), &azqueue.DequeueMessagesOptions{NumberOfMessages: &most, VisibilityTimeout: &hold})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Messages
}

// text returns the content of a message.
func text(t *testing.T, m *azqueue.DequeuedMessage) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(*m.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func message(i int) registration.Envelope {
	return registration.Envelope{
		Event:  registration.Event{ID: "e-" + strconv.Itoa(i), UserID: "auth0|ż", Source: "urn:auth0:acme", Time: time.Unix(1, 0).UTC()},
		Queued: time.Unix(2, 0).UTC(), Reason: "unavailable",
	}
}

// tokens is an identity with or without a token.
func tokens(t string) *identity.Tokens {
	return identity.NewTokens(func(context.Context) (string, time.Time, error) {
		if t == "" {
			return "", time.Time{}, errNoIdentity
		}
		return t, time.Now().Add(time.Hour), nil
	})
}

var errNoIdentity = errors.New("no identity")

// secured starts an https service that accepts tokens, and returns a client that trusts it.
func secured(t *testing.T) (*storagequeue.Server, *http.Client) {
	t.Helper()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS() // for its certificate
	defer certificate.Close()
	trusted, ok := certificate.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the test server's client has another transport")
	}
	s := queuetest.Start(t, storagequeue.Config{Certificate: &certificate.TLS.Certificates[0]})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return s, &http.Client{Transport: transport}
}

// bearer makes a token like Entra ID's, without a valid signature.
func bearer(audience string, expires time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"none","typ":"JWT"}`) + "." + part(`{"aud":"`+audience+`","iss":"https://sts.windows.net/00000000-0000-0000-0000-000000000000/",`+
		`"nbf":`+strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)+`,"iat":`+strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)+
		`,"exp":`+strconv.FormatInt(expires.Unix(), 10)+`}`) + "."
}
