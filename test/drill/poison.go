package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"userrelay/handler/registration"
	"userrelay/local/realkafka"
	"userrelay/test/drill/report"
)

// taken is the time within which the host has received a message: it reads an empty queue at least every 15 s
// (host.json).
const taken = time.Minute

// poison puts messages into outbox and poison queue by hand.
func poison(ctx context.Context, r *rig, row *report.Row) (err error) {
	s, err := r.stand(ctx, standOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	return errors.Join(s.unreadable(ctx, row), s.resend(ctx, row))
}

// unreadable puts an unreadable message into the outbox, followed by a valid one.
func (s *stand) unreadable(ctx context.Context, row *report.Row) error {
	const bad = "neither JSON nor an event"
	if err := put(ctx, s.queue.messages, []byte(bad)); err != nil {
		return err
	}
	err := poll(ctx, "wait for the message in the poison queue", taken, func(ctx context.Context) (bool, error) {
		n, err := count(ctx, s.queue.poison)
		return n == 1, err
	})
	if err != nil {
		return err
	}
	s.rig.say("  what nobody can read is in the poison queue")
	text, err := peek(ctx, s.queue.poison)
	if err != nil {
		return err
	}
	row.Holds("a message that cannot be read is in the poison queue, with the reason",
		strings.Contains(text, "It cannot be read") && strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(bad))))
	if err := put(ctx, s.queue.messages, event("after").Encode()); err != nil {
		return err
	}
	row.Holds("the next message of the outbox is in Kafka", s.arrives(ctx, "after"))
	return nil
}

// resend puts a valid message into the poison queue, and resends it with the handler's program.
func (s *stand) resend(ctx context.Context, row *report.Row) error {
	if err := put(ctx, s.queue.poison, event("again").Encode()); err != nil {
		return err
	}
	env := settings(s.cluster.Bootstrap(realkafka.Plaintext), s.topic, s.queue.connection)
	list, err := s.rig.handler(ctx, env, "-poison", "list")
	if err != nil {
		return err
	}
	row.Holds("`handler -poison list` shows both, and which of them cannot be drained",
		strings.Contains(list, "cannot be drained") && strings.Contains(list, `event "again"`) && strings.Contains(list, "2 messages shown"))
	resent, err := s.rig.handler(ctx, env, "-poison", "resend")
	if err != nil {
		return err
	}
	row.Holds("`handler -poison resend` sends one again, and leaves the other", strings.Contains(resent, "1 messages sent again, 1 left"))
	row.Holds("what was sent again is in Kafka", s.arrives(ctx, "again"))
	left, err := count(ctx, s.queue.poison)
	if err != nil {
		return err
	}
	row.Exactly("messages in the poison queue at the end", left, 1)
	records, err := s.records(ctx)
	if err != nil {
		return err
	}
	row.Exactly("records in the topic at the end", len(records), 2)
	return nil
}

// event returns an event in the format of the outbox.
func event(id string) registration.Envelope {
	return registration.Envelope{
		Event:  registration.Event{ID: id, UserID: "auth0|" + id, Source: "urn:auth0:drill", Time: time.Now()},
		Queued: time.Now(), Reason: "unavailable",
	}
}

// arrives waits for a record with this event id in the topic, and says whether it arrived in time.
func (s *stand) arrives(ctx context.Context, id string) bool {
	return poll(ctx, "wait for record "+id, taken, func(ctx context.Context) (bool, error) {
		records, err := s.records(ctx)
		return slices.ContainsFunc(records, func(r realkafka.Record) bool { return r.Header("ce_id") == id }), err
	}) == nil
}

// handler runs the handler's program with flags, and returns its output.
func (r *rig) handler(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, r.program("handler"), args...) //nolint:gosec // G204: our own program
	cmd.Env = env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("handler %s: %w: %s", strings.Join(args, " "), err, &out)
	}
	return out.String(), nil
}

// peek returns the first message of a queue, decoded from base64.
func peek(ctx context.Context, client *azqueue.QueueClient) (string, error) {
	resp, err := client.PeekMessage(ctx, nil)
	if err != nil {
		return "", fmt.Errorf("look at the poison queue: %w", err)
	}
	if len(resp.Messages) == 0 || resp.Messages[0].MessageText == nil {
		return "", errors.New("look at the poison queue: nothing is there")
	}
	text, err := base64.StdEncoding.DecodeString(*resp.Messages[0].MessageText)
	if err != nil {
		return "", fmt.Errorf("look at the poison queue: %w", err)
	}
	return string(text), nil
}
