package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/microsoft/ApplicationInsights-Go/appinsights"
	"github.com/microsoft/ApplicationInsights-Go/appinsights/contracts"

	"userrelay/handler/insights"
	"userrelay/handler/kafka"
	"userrelay/handler/outbox"
)

const checkLimit = 10 * time.Second // for the queue, and for telemetry

// checkConnections reaches for all that the settings name, and prints a line for each step.
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

func say(stdout io.Writer, grade kafka.Grade, subject, text string) bool {
	words := map[kafka.Grade]string{kafka.Good: "ok  ", kafka.Warning: "WARN", kafka.Failure: "FAIL"}
	_, _ = fmt.Fprintf(stdout, "%s  %s: %s\n", words[grade], subject, text)
	return grade != kafka.Failure
}

func checkKafka(ctx context.Context, s settings, stdout io.Writer) bool {
	cluster, err := kafkaConfig(s.Kafka)
	if err != nil {
		return say(stdout, kafka.Failure, "kafka", err.Error())
	}
	ok := true
	for _, f := range kafka.Diagnose(ctx, cluster) {
		ok = say(stdout, f.Grade, f.Subject, f.Text) && ok
	}
	return ok
}

func checkOutbox(ctx context.Context, s settings, stdout io.Writer) bool {
	const subject = "outbox"
	if s.Outbox == nil {
		return say(stdout, kafka.Warning, subject, "Switched off: while Kafka is away, registrations are refused.")
	}
	q, err := newOutbox(s.Outbox) //nolint:contextcheck // it ends with Close
	if err != nil {
		return say(stdout, kafka.Failure, subject, err.Error())
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	if err := q.Check(ctx); err != nil {
		return say(stdout, kafka.Failure, subject, fmt.Sprintf("%v. %s", err, outbox.Advice(err)))
	}
	return say(stdout, kafka.Good, subject, "The queue "+outbox.QueueName+" takes messages and lets them be deleted.")
}

// checkTelemetry sends one item.
func checkTelemetry(s settings, stdout io.Writer) bool {
	const subject = "telemetry"
	if s.Insights == nil {
		return say(stdout, kafka.Warning, subject, "There is no APPLICATIONINSIGHTS_CONNECTION_STRING: registrations cannot be found in the portal.")
	}
	var told bytes.Buffer
	config, err := telemetryConfig(s)
	if err != nil {
		return say(stdout, kafka.Failure, subject, err.Error())
	}
	config.Log = slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	sender := insights.NewSender(config)
	sender.Track(appinsights.NewTraceTelemetry("userrelay: the connection is checked", contracts.Information))
	sender.Close(checkLimit)
	if sender.Stats().Accepted == 0 {
		line, _, _ := bytes.Cut(told.Bytes(), []byte("\n"))
		return say(stdout, kafka.Failure, subject, "The endpoint did not take an item: "+string(line)+
			". Compare APPLICATIONINSIGHTS_CONNECTION_STRING with the portal; an identity needs the role Monitoring Metrics Publisher.")
	}
	return say(stdout, kafka.Good, subject, "The endpoint took an item.")
}
