package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"userrelay/handler/insights"
	"userrelay/handler/insights/ingest"
	"userrelay/handler/kafka/diagnose"
	"userrelay/handler/outbox"
)

const checkLimit = 10 * time.Second // for the queue, and for telemetry

// reportSettings prints what is wrong with the settings, one line for each problem. If the output is not a terminal it
// repeats all of them on one last line, because the Functions host quotes only the last three lines.
func reportSettings(stderr io.Writer, warnings []string, err error) int {
	printWarnings(stderr, warnings)
	wrong, _ := errors.AsType[configError](err)
	for _, line := range wrong {
		_, _ = fmt.Fprintln(stderr, line)
	}
	if isTerminal(stderr) {
		_, _ = fmt.Fprintln(stderr, wrong.count()+" wrong; see docs/settings.md")
	} else {
		_, _ = fmt.Fprintln(stderr, err)
	}
	return exitConfig
}

func printWarnings(w io.Writer, warnings []string) {
	for _, line := range warnings {
		_, _ = fmt.Fprintln(w, "WARN  "+line)
	}
}

// isTerminal says whether a person reads the output. It takes every character device for a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// checkAll does the rest of -check after the settings were read without a mistake.
func checkAll(s settings, connect bool, stdout, stderr io.Writer) int {
	if wrong := checkLogins(s); wrong != nil {
		return reportSettings(stderr, s.Warnings, wrong)
	}
	printWarnings(stdout, s.Warnings)
	_, _ = fmt.Fprintln(stdout, "settings: valid")
	if connect {
		return checkConnections(s, stdout)
	}
	return exitOK
}

// checkLogins sets up each login, as the handler does when it starts. It sends no request yet.
func checkLogins(s settings) configError {
	var wrong configError
	const rule = ": needs an Azure identity, and none can be set up: "
	if _, err := mechanism(s.Kafka); err != nil {
		wrong = append(wrong, "KAFKA_SASL_MECHANISM"+rule+"look at the AZURE_… variables of the environment, above all AZURE_TOKEN_CREDENTIALS")
	}
	if s.Outbox != nil && s.Outbox.Account.ByIdentity() {
		if _, err := s.Outbox.Identity.Tokens(outbox.Scope); err != nil {
			wrong = append(wrong, storage+"__credential"+rule+"look at "+storage+"__tenantId and __clientId, and at the AZURE_… variables of the environment")
		}
	}
	if s.Insights != nil && s.Identity != nil {
		if _, err := s.Identity.Tokens(s.Insights.Scope()); err != nil {
			wrong = append(wrong, "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"+rule+"the platform has no managed identity of this kind")
		}
	}
	return wrong
}

// checkConnections connects to everything that the settings name, and prints a line for each step.
func checkConnections(s settings, stdout io.Writer) int {
	ctx := context.Background()
	results := [...]bool{checkKafka(ctx, s, stdout), checkOutbox(ctx, s, stdout), checkTelemetry(s, stdout)}
	for _, ok := range results {
		if !ok {
			return exitFailed
		}
	}
	return exitOK
}

func say(stdout io.Writer, grade diagnose.Grade, subject, text string) bool {
	words := map[diagnose.Grade]string{diagnose.Good: "ok  ", diagnose.Warning: "WARN", diagnose.Failure: "FAIL"}
	_, _ = fmt.Fprintf(stdout, "%s  %s: %s\n", words[grade], subject, text)
	return grade != diagnose.Failure
}

func checkKafka(ctx context.Context, s settings, stdout io.Writer) bool {
	cluster, err := kafkaConfig(s.Kafka)
	if err != nil {
		return say(stdout, diagnose.Failure, "kafka", err.Error())
	}
	cluster.Profiles = s.Profile
	ok := true
	for _, f := range diagnose.Run(ctx, cluster) {
		ok = say(stdout, f.Grade, f.Subject, f.Text) && ok
	}
	return ok
}

func checkOutbox(ctx context.Context, s settings, stdout io.Writer) bool {
	const subject = "outbox"
	if s.Outbox == nil {
		return say(stdout, diagnose.Warning, subject, "Switched off: while Kafka is unavailable, registrations are refused.")
	}
	q, err := newOutbox(s) //nolint:contextcheck // it ends with Close
	if err != nil {
		return say(stdout, diagnose.Failure, subject, err.Error())
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	if err := q.Check(ctx); err != nil {
		return say(stdout, diagnose.Failure, subject, fmt.Sprintf("%v. %s", err, outbox.Advice(err)))
	}
	return say(stdout, diagnose.Good, subject, "The queue "+outbox.QueueName+" accepts messages and their deletion.") && checkBacklog(ctx, q, stdout)
}

// checkBacklog prints how many messages are in the queues. Neither waiting messages nor poisoned ones are a failure of
// the check.
func checkBacklog(ctx context.Context, q *outbox.Queue, stdout io.Writer) bool {
	const subject = "outbox"
	waiting, err := q.Count(ctx)
	var oldest time.Time
	if err == nil && waiting > 0 {
		oldest, err = q.Oldest(ctx)
	}
	poisoned := 0
	if err == nil {
		poisoned, err = q.CountPoisoned(ctx)
	}
	if err != nil {
		return say(stdout, diagnose.Failure, subject, fmt.Sprintf("%v. %s", err, outbox.Advice(err)))
	}
	switch {
	case waiting == 0:
		say(stdout, diagnose.Good, subject, "Nothing waits.")
	case oldest.IsZero():
		say(stdout, diagnose.Warning, subject, fmt.Sprintf("About %d messages wait; all of them are in progress or wait for the next attempt.", waiting))
	default:
		say(stdout, diagnose.Warning, subject, fmt.Sprintf("About %d messages wait, the oldest visible one since %s.", waiting, oldest.UTC().Format(time.RFC3339)))
	}
	if poisoned > 0 {
		say(stdout, diagnose.Warning, subject, fmt.Sprintf("About %d messages are in the poison queue: handler -poison list.", poisoned))
	}
	return true
}

// checkTelemetry sends one item.
func checkTelemetry(s settings, stdout io.Writer) bool {
	const subject = "telemetry"
	if s.Insights == nil {
		return say(stdout, diagnose.Warning, subject, "There is no APPLICATIONINSIGHTS_CONNECTION_STRING: registrations cannot be found in the portal.")
	}
	var told bytes.Buffer
	config, err := telemetryConfig(s)
	if err != nil {
		return say(stdout, diagnose.Failure, subject, err.Error())
	}
	config.Log = slog.New(slog.NewJSONHandler(&told, nil))
	sender := ingest.New(config)
	sender.Track(insights.NewEncoder(insights.Node{
		Key: s.Insights.InstrumentationKey, Role: s.Role, Instance: s.Instance, Version: buildVersion(),
	}).Message("userrelay: the connection is checked"))
	sender.Close(checkLimit)
	if sender.Stats().Accepted == 0 {
		return say(stdout, diagnose.Failure, subject, "The endpoint did not accept an item"+reasonOf(told.Bytes())+
			". Compare APPLICATIONINSIGHTS_CONNECTION_STRING with the portal; an identity needs the role Monitoring Metrics Publisher.")
	}
	return say(stdout, diagnose.Good, subject, "The endpoint accepted an item.")
}

// reasonOf turns the sender's first log record into a part of a sentence: the message with its attributes.
func reasonOf(lines []byte) string {
	var record map[string]any
	first, _, _ := bytes.Cut(lines, []byte("\n"))
	if json.Unmarshal(first, &record) != nil {
		return ""
	}
	var parts []string
	for name, value := range record {
		switch name {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey:
		default:
			parts = append(parts, fmt.Sprintf("%s %v", name, value))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return " (" + strings.Join(parts, ", ") + ")"
}
