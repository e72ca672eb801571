package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/setting"
)

const (
	kafkaCheckLimit = 4 * time.Second
	kafkaDialLimit  = 2 * time.Second
	topicPartitions = 4
)

// kafkaTrouble returns a sentence or two about what the user's own Kafka lacks, and how to fix it; "" if it lacks
// nothing. It creates a missing topic if Kafka is on this machine.
func (s *stack) kafkaTrouble(ctx context.Context) string {
	if s.kafka == "" || s.kafka == apacheName {
		return "" // ours
	}
	ctx, cancel := context.WithTimeout(ctx, kafkaCheckLimit)
	defer cancel()
	if s.loginOrTLS() {
		return s.handlersCheck(ctx)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(s.kafka, ",")...), kgo.RequestRetries(0),
		kgo.Dialer((&net.Dialer{Timeout: kafkaDialLimit}).DialContext))
	if err != nil {
		return "Kafka cannot be asked: " + err.Error() + "."
	}
	defer client.Close()
	var failed error
	for _, seed := range client.SeedBrokers() { // one that answers is enough
		trouble, err := s.askSeed(ctx, client, seed)
		if err == nil {
			return trouble
		}
		failed = err
	}
	return s.unreachable(failed)
}

// unreachable is the text if no broker answered.
func (s *stack) unreachable(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("Kafka's name cannot be resolved (%s): see -kafka.", s.kafka)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Sprintf("Nothing listens at %s: start Kafka there, or leave -kafka out to have one here. Meanwhile registrations wait in the outbox.", s.kafka)
	}
	return fmt.Sprintf("What listens at %s does not answer as Kafka does without TLS and login: is it Kafka's port? TLS and login are settings of the handler: -env KAFKA_SECURITY_PROTOCOL=…", s.kafka)
}

// askSeed asks one broker for the topic and the names of the others. An error means that it did not answer.
func (s *stack) askSeed(ctx context.Context, client *kgo.Client, seed *kgo.Broker) (trouble string, err error) {
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = new(s.topic)
	req := kmsg.NewMetadataRequest()
	req.Topics = append(req.Topics, topic)
	answer, err := seed.RetriableRequest(ctx, &req)
	if err != nil {
		return "", fmt.Errorf("ask a broker: %w", err)
	}
	metadata, ok := answer.(*kmsg.MetadataResponse)
	if !ok || len(metadata.Brokers) == 0 || len(metadata.Topics) != 1 {
		return "", errors.New("an answer without brokers or the topic")
	}
	for _, b := range metadata.Brokers {
		if trouble := s.advertised(ctx, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))); trouble != "" {
			return trouble, nil
		}
	}
	err = kerr.ErrorForCode(metadata.Topics[0].ErrorCode)
	switch {
	case err == nil:
		return "", nil
	case !errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Sprintf("Kafka says of the topic %s: %v.", s.topic, err), nil
	case !onLoopback(s.kafka):
		return fmt.Sprintf("The topic %s does not exist. This creates it: kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d",
			s.topic, s.kafka, s.topic, topicPartitions), nil
	default:
		return s.makeTopic(ctx, client), nil
	}
}

// advertised says what is wrong with a broker's advertised address.
func (s *stack) advertised(ctx context.Context, addr string) string {
	conn, err := (&net.Dialer{Timeout: kafkaDialLimit}).DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = conn.Close()
		return ""
	}
	what := "cannot be reached"
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		what = "this machine cannot resolve"
	}
	return fmt.Sprintf("Kafka answers at %s and says that it is called %s, which %s: set the broker's advertised.listeners to PLAINTEXT://%s", s.kafka, addr, what, s.kafka)
}

func (s *stack) makeTopic(ctx context.Context, client *kgo.Client) string {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = s.topic, topicPartitions, -1 // as many copies as the broker has by default
	req := kmsg.NewCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), int32(kafkaCheckLimit.Milliseconds())
	answer, err := req.RequestWith(ctx, client)
	if err == nil && len(answer.Topics) == 1 {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Sprintf("The topic %s does not exist, and cannot be created: %v.", s.topic, err)
	}
	s.say("Made the topic %s, with %d partitions.", s.topic, topicPartitions)
	return ""
}

// handlersCheck runs the handler's own check: only the handler reads the settings of login and TLS.
func (s *stack) handlersCheck(ctx context.Context) string {
	check := exec.CommandContext(ctx, handlerPath(), "-check", "-connect") //nolint:gosec // G204: constants
	check.Env = s.handlerEnv()
	out, err := check.Output()
	if err == nil {
		return ""
	}
	var failures []string
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, "FAIL"); ok {
			failures = append(failures, strings.TrimSpace(text))
		}
	}
	return strings.Join(failures, "\n")
}

// onLoopback says whether all brokers are on this machine.
func onLoopback(brokers string) bool {
	for broker := range strings.SplitSeq(brokers, ",") {
		host, _, _ := net.SplitHostPort(broker)
		if !setting.Loopback(host) {
			return false
		}
	}
	return true
}
