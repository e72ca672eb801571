package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

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
	messages, poison   *azqueue.QueueClient
}

func startQueue(ctx context.Context, r *rig) (*queue, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	q := &queue{program: r.program("queue"), addr: addr, dir: filepath.Join(r.dir, "outbox"), output: r.output}
	if err := q.start(); err != nil {
		return nil, err
	}
	for name, client := range map[string]**azqueue.QueueClient{outbox.QueueName: &q.messages, outbox.QueueName + "-poison": &q.poison} {
		*client, err = azqueue.NewQueueClientFromConnectionString(q.connection, name, &azqueue.ClientOptions{ClientOptions: azcore.ClientOptions{
			Transport: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Retry: policy.RetryOptions{TryTimeout: queueTry},
		}})
		if err == nil {
			_, err = (*client).Create(ctx, nil)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make queue %s: %w", name, err), q.process.Kill())
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

// count returns the number of messages in a queue, including invisible ones.
func count(ctx context.Context, client *azqueue.QueueClient) (int, error) {
	p, err := client.GetProperties(ctx, nil)
	if err != nil {
		return 0, fmt.Errorf("ask for the number of messages: %w", err)
	}
	return int(*p.ApproximateMessagesCount), nil
}
