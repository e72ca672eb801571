package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"

	"userrelay/handler/outbox"
	"userrelay/test/child"
)

const queueTry = 5 * time.Second // for a request to the queue

// queue is the stand-in for the Storage queue in a separate process, which keeps its folder and port after a restart,
// with the drill's own clients.
type queue struct {
	program, addr, dir string
	output             io.Writer // of the process
	process            *child.Process
	connection         string // connection string
	transport          *http.Transport
	messages, poison   *azqueue.QueueClient
}

func (r *rig) startQueue(ctx context.Context, name string) (*queue, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	q := &queue{program: r.program("queue"), addr: addr, dir: filepath.Join(r.dir, name), output: r.output, transport: &http.Transport{}}
	if err := q.start(); err != nil {
		return nil, err
	}
	for name, client := range map[string]**azqueue.QueueClient{outbox.QueueName: &q.messages, outbox.QueueName + "-poison": &q.poison} {
		*client, err = azqueue.NewQueueClientFromConnectionString(q.connection, name, &azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{
			Transport: &http.Client{Transport: q.transport}, Retry: policy.RetryOptions{TryTimeout: queueTry},
		}})
		if err == nil {
			_, err = (*client).Create(ctx, nil)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make queue %s: %w", name, err), q.close())
		}
	}
	return q, nil
}

func (q *queue) start() (err error) {
	q.process, err = child.Start(child.Spec{Program: q.program, Args: []string{"-addr", q.addr, "-dir", q.dir}, Output: true, Stderr: q.output})
	if err != nil {
		return err
	}
	if q.connection, err = q.process.Line(); err != nil {
		return errors.Join(err, q.process.Kill())
	}
	return nil
}

// ready restarts the queue if it was killed, continues it if it was halted, and empties it.
func (q *queue) ready(ctx context.Context) error {
	again := q.process.Resume
	if q.process.Gone() != nil {
		again = q.start
	}
	if err := again(); err != nil {
		return err
	}
	for _, client := range []*azqueue.QueueClient{q.messages, q.poison} {
		if _, err := client.ClearMessages(ctx, nil); err != nil {
			return fmt.Errorf("empty the queues: %w", err)
		}
	}
	return nil
}

func (q *queue) close() error {
	q.transport.CloseIdleConnections()
	return q.process.Kill()
}

// count returns the number of messages in a queue, including invisible ones.
func count(ctx context.Context, client *azqueue.QueueClient) (int, error) {
	p, err := client.GetProperties(ctx, nil)
	switch {
	case queueerror.HasCode(err, queueerror.QueueNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("ask for the number of messages: %w", err)
	case p.ApproximateMessagesCount == nil:
		return 0, errors.New("ask for the number of messages: the answer has none")
	}
	return int(*p.ApproximateMessagesCount), nil
}

// put puts a message into a queue, in the format of handler and host.
func put(ctx context.Context, client *azqueue.QueueClient, message []byte) error {
	forever := int32(-1)
	_, err := client.EnqueueMessage(ctx, base64.StdEncoding.EncodeToString(message), &azqueue.EnqueueMessageOptions{TimeToLive: &forever})
	if err != nil {
		return fmt.Errorf("put a message: %w", err)
	}
	return nil
}
