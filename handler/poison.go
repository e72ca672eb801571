package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"userrelay/handler/outbox"
	"userrelay/handler/registration"
)

// The values of -poison.
const (
	poisonList   = "list"
	poisonResend = "resend"
)

// handlePoison shows what the poison queue holds, or moves it back into the outbox.
func handlePoison(s settings, what string, stdout, stderr io.Writer) int {
	if s.Outbox == nil {
		_, _ = fmt.Fprintln(stderr, "settings: OUTBOX is off: there is no poison queue")
		return exitConfig
	}
	q, err := newOutbox(s)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitConfig
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(context.Background(), outbox.ResendLimit)
	defer cancel()
	if what == poisonList {
		err = listPoison(ctx, q, stdout)
	} else {
		err = resendPoison(ctx, q, stdout)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "poison queue: %v. %s\n", err, outbox.Advice(err))
		return exitFailed
	}
	return exitOK
}

func listPoison(ctx context.Context, q *outbox.Queue, stdout io.Writer) error {
	list, err := q.ListPoisoned(ctx)
	if err != nil {
		return err
	}
	for _, p := range list {
		_, _ = fmt.Fprintln(stdout, poisonLine(p))
	}
	total, err := q.CountPoisoned(ctx)
	if err != nil {
		return err
	}
	switch {
	case total == 0 && len(list) == 0:
		_, _ = fmt.Fprintln(stdout, "The poison queue is empty.")
	case total > len(list):
		_, _ = fmt.Fprintf(stdout, "%d messages shown of about %d: the queue shows only its first 32, and no hidden ones. All of them stay in the queue.\n", len(list), total)
	default:
		_, _ = fmt.Fprintf(stdout, "%d messages shown; all of them stay there.\n", len(list))
	}
	return nil
}

func resendPoison(ctx context.Context, q *outbox.Queue, stdout io.Writer) error {
	total, err := q.CountPoisoned(ctx)
	if err != nil {
		return err
	}
	if total == 0 {
		_, _ = fmt.Fprintln(stdout, "The poison queue is empty.")
		return nil
	}
	_, _ = fmt.Fprintf(stdout, "About %d messages to look at.\n", total)
	sent, left := 0, 0
	err = q.Resend(ctx, func(p outbox.Poisoned) {
		if p.Sent {
			sent++
		} else {
			left++
		}
		_, _ = fmt.Fprintf(stdout, "%d/%d  %s\n", sent+left, max(total, sent+left), poisonLine(p))
	})
	_, _ = fmt.Fprintf(stdout, "%d messages sent again, %d left that cannot be drained\n", sent, left)
	return err
}

// poisonLine describes a message for an operator. It includes the user id, because operators search for it.
func poisonLine(p outbox.Poisoned) string {
	what := fmt.Sprintf("user %q event %q", p.Message.Event.UserID, p.Message.Event.ID)
	if p.Err != nil {
		what = "cannot be drained: " + p.Err.Error()
	}
	reason := strconv.Quote(p.Reason) // the queue may hold text that this program did not write
	if p.Reason == "" {
		reason = "given up by the host after its last attempt"
	}
	if _, invalid := errors.AsType[*registration.InvalidError](p.Err); invalid && p.Reason == "" {
		reason = "not written by this program"
	}
	state := "there  "
	if p.Sent {
		state = "resent "
	}
	return fmt.Sprintf("%s %s since %s  %s  %s", state, p.ID, p.Since.UTC().Format(time.RFC3339), what, reason)
}
