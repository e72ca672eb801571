package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"

	"userrelay/local/realkafka"
)

// apacheName is the value of -kafka for a real Kafka.
const apacheName = "apache"

const apachePartitions = 4

// apacheSwitch stops and starts the real Kafka for the page. It implements [portal.Broker].
type apacheSwitch struct{ *realkafka.Node }

// Pause ends the process at once, as an outage does.
func (a *apacheSwitch) Pause() { _ = a.Kill() } // it is gone, or cannot be ended

// Resume returns when the broker serves again, which takes some seconds.
func (a *apacheSwitch) Resume() error {
	if a.Running() {
		return nil
	}
	return a.Restart(context.Background()) //nolint:wrapcheck // it says what it is about
}

// startApache starts an Apache Kafka with one node and the topic.
func (s *stack) startApache(ctx context.Context) (*realkafka.Cluster, error) {
	s.say("Starting Apache Kafka …")
	c, err := realkafka.Start(ctx, realkafka.Options{
		Home: s.kafkaHome(), Dir: s.folder("kafka"), Listeners: []realkafka.Listener{realkafka.Plaintext}, Log: slog.New(slog.NewTextHandler(s.out, nil)),
	})
	if err != nil {
		return nil, fmt.Errorf("start Apache Kafka: %w", err)
	}
	if err := c.CreateTopic(ctx, s.topic, apachePartitions, 1, nil); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return nil, errors.Join(fmt.Errorf("make the topic: %w", err), c.Close()) //nolint:contextcheck // it must end when ctx has
	}
	return c, nil
}
