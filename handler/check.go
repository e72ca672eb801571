package main

import (
	"context"
	"fmt"
	"io"

	"userrelay/handler/kafka"
)

// checkConnections reaches for all that the settings name, and prints a line for each step.
func checkConnections(s settings, stdout io.Writer) int {
	cluster, err := kafkaConfig(s.Kafka, nil)
	if err != nil {
		_, _ = fmt.Fprintln(stdout, "FAIL  kafka:", err)
		return exitFailed
	}
	words := map[kafka.Grade]string{kafka.Good: "ok  ", kafka.Warning: "WARN", kafka.Failure: "FAIL"}
	code := exitOK
	for _, f := range kafka.Diagnose(context.Background(), cluster) {
		_, _ = fmt.Fprintf(stdout, "%s  %s: %s\n", words[f.Grade], f.Subject, f.Text)
		if f.Grade == kafka.Failure {
			code = exitFailed
		}
	}
	return code
}
