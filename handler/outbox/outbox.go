// Package outbox stores registrations in a queue of an Azure Storage account while Kafka does not accept them.
//
// It promises that Put returns without an error only after the service has said that the message is stored; that a
// message never expires; and that no error contains a key, a token, an address or any text of the service except its
// error code.
//
// The handler drains the queue itself (see Receive). The Functions host may also pass each message to the function
// DrainOutbox. Messages are base64, which the host expects by default (host.json, extensions.queues.messageEncoding).
package outbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/delivery"
	"userrelay/handler/identity"
	"userrelay/handler/registration"
)

// QueueName is the queue's name. DrainOutbox/function.json has the same name. The host appends "-poison" for messages
// that it gives up.
const QueueName = "userrelay-outbox"

const poisonName = QueueName + "-poison"

// A Put has 1.5 s in total.
const (
	tries       = 2 // of requests that the service has certainly not carried out
	retryDelay  = 50 * time.Millisecond
	dialTimeout = 500 * time.Millisecond
	idleConns   = 64 // idle connections that are kept
	idleTimeout = 60 * time.Second
)

// Config says which account holds the queue.
type Config struct {
	Account Account
	Tokens  *identity.Tokens    // tokens for Scope, if an identity gives access to the account
	Client  *http.Client        // nil: one of its own
	Profile bool                // whether the messages that Resend writes keep the profile
	Origin  registration.Origin // of this app: Resend leaves the messages of others
}

// Scope is the scope of tokens for the queue service.
const Scope = "https://storage.azure.com/.default"

// Queue is the outbox. It is safe for use by several goroutines.
type Queue struct {
	messages, poison *azqueue.QueueClient
	transport        *http.Transport  // nil where the client is not its own
	tokens           *identity.Tokens // nil: access by key or signature
	profile          bool
	origin           registration.Origin
	end              context.CancelFunc
	background       sync.WaitGroup
}

// New returns the outbox, which begins to get a token if it needs one. The caller must close it.
func New(c Config) (*Queue, error) {
	q := &Queue{profile: c.Profile, origin: c.Origin}
	if c.Account.ByIdentity() {
		q.tokens = c.Tokens
	}
	if c.Client == nil {
		q.transport = &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: dialTimeout,
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
	if q.poison, err = c.client(poisonName); err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	q.end = end
	if q.tokens != nil {
		q.background.Go(func() { q.tokens.Renew(life) })
	}
	return q, nil
}

// client returns the client of one queue.
func (c Config) client(queue string) (*azqueue.QueueClient, error) {
	options := &azqueue.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport:        c.Client,
		PerCallPolicies:  []policy.Policy{textless{}},
		PerRetryPolicies: []policy.Policy{doubt{}},
		Retry: policy.RetryOptions{
			MaxRetries: tries - 1, RetryDelay: retryDelay, MaxRetryDelay: 2 * retryDelay, ShouldRetry: certainlyNotDone,
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
		options.PerRetryPolicies = append([]policy.Policy{bearer{c.Tokens}}, options.PerRetryPolicies...)
		client, err = azqueue.NewQueueClientWithNoCredential(address, options)
	}
	if err != nil {
		return nil, &Error{Op: "set up the client of the queue", Err: err}
	}
	return client, nil
}

// bearer sends the cached token. The client's own policy has a cache that makes callers wait for a new token longer
// than they may.
type bearer struct{ tokens *identity.Tokens }

// Do is the method of policy.Policy. An account with access by identity always has an https address.
func (b bearer) Do(r *policy.Request) (*http.Response, error) {
	token, _, ok := b.tokens.Current()
	if !ok {
		return nil, errNoToken
	}
	r.Raw().Header.Set("Authorization", "Bearer "+token)
	return r.Next()
}

// identified waits for the first token. Calls with a short time limit do not use it.
func (q *Queue) identified(ctx context.Context) error {
	if q.tokens == nil {
		return nil
	}
	if _, err := q.tokens.Get(ctx); err != nil {
		return wrap("get a token for the storage account", fmt.Errorf("%w: %w", errNoToken, err))
	}
	return nil
}

// Close releases the resources. No call may be in progress.
func (q *Queue) Close() {
	q.end()
	q.background.Wait()
	if q.transport != nil {
		q.transport.CloseIdleConnections()
	}
}

// Prepare creates the queues if they are missing, which also gets the first token and opens a connection.
func (q *Queue) Prepare(ctx context.Context) error {
	if err := q.identified(ctx); err != nil {
		return err
	}
	for _, client := range []*azqueue.QueueClient{q.messages, q.poison} {
		_, err := client.GetProperties(ctx, nil)
		if codeOf(err) == "QueueNotFound" { // an identity that may use a queue may lack the right to create one
			err = create(ctx, client)
		}
		if err != nil {
			return wrap("look at the queue", err)
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

// Put stores a message and hides it for the given time: whole seconds, up to 7 days. The error is a *delivery.Error.
// Its class is UnknownOutcome if the message may be stored nevertheless.
func (q *Queue) Put(ctx context.Context, m registration.Envelope, hidden time.Duration) (delivery.Kept, error) {
	kept, err := put(ctx, q.messages, m.Encode(), hidden)
	kept.Queue = QueueName
	return kept, err
}

// put stores a message that never expires in a queue. It creates the queue if it is missing.
func put(ctx context.Context, client *azqueue.QueueClient, message []byte, hidden time.Duration) (delivery.Kept, error) {
	forever, after := int32(-1), int32(hidden/time.Second)
	options := &azqueue.EnqueueMessageOptions{TimeToLive: &forever, VisibilityTimeout: &after}
	text := base64.StdEncoding.EncodeToString(message)
	watched, doubtful := withDoubt(ctx)
	resp, err := client.EnqueueMessage(watched, text, options)
	if codeOf(err) == "QueueNotFound" {
		if err = create(ctx, client); err == nil {
			resp, err = client.EnqueueMessage(watched, text, options)
		}
	}
	if err == nil && (len(resp.Messages) != 1 || resp.Messages[0] == nil || resp.Messages[0].MessageID == nil || resp.Messages[0].PopReceipt == nil) {
		err = fmt.Errorf("an answer of %d messages, or one without an id", len(resp.Messages))
	}
	if err != nil {
		return delivery.Kept{}, notPut(wrap("put the message", err), doubtful())
	}
	return delivery.Kept{ID: *resp.Messages[0].MessageID, Receipt: *resp.Messages[0].PopReceipt}, nil
}

func notPut(err error, doubtful bool) error {
	class := delivery.Unavailable
	if doubtful {
		class = delivery.UnknownOutcome
	}
	return &delivery.Error{Class: class, Op: err.Error(), Err: err}
}
