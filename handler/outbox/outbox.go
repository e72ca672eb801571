// Package outbox keeps registrations in a queue of an Azure Storage account while Kafka does not take them.
//
// It promises that Put returns without an error only after the service has said that the message is stored; that a message
// never expires; and that no error holds a key, a token, an address or any text that the service sent beyond its error code.
//
// The Functions host reads the queue and hands each message to the function DrainOutbox. Messages are base64, which the
// host expects by default (host.json, extensions.queues.messageEncoding).
package outbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/delivery"
	"userrelay/handler/registration"
)

// QueueName is the queue's name. DrainOutbox/function.json has the same; the host adds "-poison" for what it gives up.
const QueueName = "userrelay-outbox"

const poisonName = QueueName + "-poison"

// One attempt of a request, and how often a failed one is made again. A Put has 1.5 s in all.
const (
	tryTimeout  = 700 * time.Millisecond
	tries       = 2
	retryDelay  = 50 * time.Millisecond
	dialTimeout = 500 * time.Millisecond
	idleConns   = 64 // kept open; more are for a moment only
	idleTimeout = 60 * time.Second
)

// Config says which account holds the queue.
type Config struct {
	Account    Account
	Credential azcore.TokenCredential // where the account is entered by an identity
	Client     *http.Client           // nil: one of its own
}

// Queue is the outbox. It is safe for use by several goroutines.
type Queue struct {
	messages, poison *azqueue.QueueClient
	transport        *http.Transport // nil where the client is not its own
}

// New returns the outbox. It connects to nothing yet; Close lets go of its connections.
func New(c Config) (*Queue, error) {
	q := &Queue{}
	if c.Client == nil {
		q.transport = &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: tryTimeout,
			ForceAttemptHTTP2: true, MaxIdleConns: idleConns, MaxIdleConnsPerHost: idleConns, IdleConnTimeout: idleTimeout,
		}
		c.Client = &http.Client{
			Transport:     q.transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	var err error
	if q.messages, err = c.client(QueueName); err != nil {
		return nil, err
	}
	q.poison, err = c.client(poisonName)
	return q, err
}

// client returns the client of one queue.
func (c Config) client(queue string) (*azqueue.QueueClient, error) {
	options := &azqueue.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: c.Client,
		Retry: policy.RetryOptions{
			MaxRetries: tries - 1, TryTimeout: tryTimeout, RetryDelay: retryDelay, MaxRetryDelay: 2 * retryDelay,
		},
	}}
	address := c.Account.url + queue
	var (
		client *azqueue.QueueClient
		err    error
	)
	switch {
	case c.Account.key != "":
		var key *azqueue.SharedKeyCredential
		if key, err = azqueue.NewSharedKeyCredential(c.Account.name, c.Account.key); err == nil {
			client, err = azqueue.NewQueueClientWithSharedKeyCredential(address, key, options)
		}
	case c.Account.sas != "":
		client, err = azqueue.NewQueueClientWithNoCredential(address+"?"+c.Account.sas, options)
	default:
		client, err = azqueue.NewQueueClient(address, c.Credential, options)
	}
	if err != nil {
		return nil, &Error{Op: "set up the client of the queue", Err: err}
	}
	return client, nil
}

// Close lets go of idle connections.
func (q *Queue) Close() {
	if q.transport != nil {
		q.transport.CloseIdleConnections()
	}
}

// Prepare makes the queues where they are missing, which also fetches the first token and opens a connection.
func (q *Queue) Prepare(ctx context.Context) error {
	for _, client := range []*azqueue.QueueClient{q.messages, q.poison} {
		if err := create(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

func create(ctx context.Context, client *azqueue.QueueClient) error {
	_, err := client.Create(ctx, nil)
	if codeOf(err) == "QueueAlreadyExists" { // with other metadata
		return nil
	}
	return wrap("create the queue", err)
}

// Put stores a message, which nobody sees before the time given is over: whole seconds, up to 7 days.
func (q *Queue) Put(ctx context.Context, m registration.Message, hidden time.Duration) (delivery.Message, error) {
	kept, err := put(ctx, q.messages, m.Encode(), hidden)
	kept.Queue = QueueName
	return kept, err
}

// put stores a message that never expires in a queue, which it makes where it is missing.
func put(ctx context.Context, client *azqueue.QueueClient, message []byte, hidden time.Duration) (delivery.Message, error) {
	const op = "put the message"
	forever, after := int32(-1), int32(hidden/time.Second)
	options := &azqueue.EnqueueMessageOptions{TimeToLive: &forever, VisibilityTimeout: &after}
	text := base64.StdEncoding.EncodeToString(message)
	resp, err := client.EnqueueMessage(ctx, text, options)
	if codeOf(err) == "QueueNotFound" {
		if err := create(ctx, client); err != nil {
			return delivery.Message{}, err
		}
		resp, err = client.EnqueueMessage(ctx, text, options)
	}
	if err != nil {
		return delivery.Message{}, wrap(op, err)
	}
	if len(resp.Messages) != 1 || resp.Messages[0] == nil || resp.Messages[0].MessageID == nil || resp.Messages[0].PopReceipt == nil {
		return delivery.Message{}, &Error{Op: op, Err: fmt.Errorf("an answer of %d messages, or one without an id", len(resp.Messages))}
	}
	return delivery.Message{ID: *resp.Messages[0].MessageID, Receipt: *resp.Messages[0].PopReceipt}, nil
}

// Delete deletes a message. It fails where somebody has seen the message since.
func (q *Queue) Delete(ctx context.Context, kept delivery.Message) error {
	_, err := q.messages.DeleteMessage(ctx, kept.ID, kept.Receipt, nil)
	return wrap("delete the message", err)
}

// Show makes a hidden message visible. It fails where somebody has seen the message since.
func (q *Queue) Show(ctx context.Context, kept delivery.Message, m registration.Message) error {
	at := int32(0)
	_, err := q.messages.UpdateMessage(ctx, kept.ID, kept.Receipt, base64.StdEncoding.EncodeToString(m.Encode()),
		&azqueue.UpdateMessageOptions{VisibilityTimeout: &at})
	return wrap("show the message", err)
}
