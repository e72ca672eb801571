package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"userrelay/test/realkafka"
)

// apacheName is what -kafka has for a real Kafka instead of an address.
const apacheName = "apache"

const apachePartitions = 4

// startApache starts an Apache Kafka of one node with the topic.
func (s *stack) startApache(ctx context.Context) (*realkafka.Cluster, error) {
	home := ""
	for _, setting := range s.env {
		if value, ok := strings.CutPrefix(setting, "KAFKA_HOME="); ok {
			home = value
		}
	}
	if home == "" {
		return nil, errors.New("-kafka apache needs Java 17, and KAFKA_HOME with an unpacked Apache Kafka 4 (kafka_2.13-4.x.tgz from kafka.apache.org)")
	}
	s.say("Starting Apache Kafka …")
	c, err := realkafka.Start(ctx, realkafka.Options{
		Home: home, Dir: s.folder("kafka"), Listeners: []realkafka.Listener{realkafka.Plaintext}, Log: slog.New(slog.NewTextHandler(s.out, nil)),
	})
	if err != nil {
		return nil, fmt.Errorf("start Apache Kafka: %w", err)
	}
	if err := c.CreateTopic(ctx, s.topic, apachePartitions, 1, nil); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return nil, errors.Join(fmt.Errorf("make the topic: %w", err), c.Close()) //nolint:contextcheck // it must end when ctx has
	}
	return c, nil
}
