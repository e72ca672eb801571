package kafka_test

import (
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"userrelay/handler/kafka"
	"userrelay/test/realkafka"
)

func TestDiagnose(t *testing.T) {
	t.Parallel()
	c := realkafka.ForTest(t, realkafka.Options{Listeners: []realkafka.Listener{realkafka.Plaintext, realkafka.SASLPlaintext}})
	if err := c.CreateTopic(t.Context(), "one-copy", 2, 1, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTopic(t.Context(), "no-write", 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	deny(t, c, "no-write", kmsg.ACLOperationWrite)
	dead := "127.0.0.1:1"
	t.Cleanup(func() {
		records, err := realkafka.ReadFranz(context.WithoutCancel(t.Context()), c.Bootstrap(realkafka.Plaintext), "one-copy")
		if err != nil || len(records) != 0 {
			t.Errorf("the diagnosis left %d records (%v)", len(records), err)
		}
	})
	for name, tt := range map[string]struct {
		config kafka.Config
		want   []string // "grade subject: part of the text"
	}{
		"one copy": {
			kafka.Config{Brokers: c.Bootstrap(realkafka.Plaintext), Topic: "one-copy"},
			[]string{"0 broker: without encryption or login", "0 topic: with 2 partitions", "0 topic: may be written to", "1 topic: means one copy"},
		},
		"one broker of two": {
			kafka.Config{Brokers: append(c.Bootstrap(realkafka.Plaintext), dead), Topic: "one-copy"},
			[]string{"0 broker: ", "2 broker: KAFKA_BROKERS", "0 topic: ", "0 topic: ", "1 topic: "},
		},
		"no broker":      {kafka.Config{Brokers: []string{dead}, Topic: "one-copy"}, []string{"2 broker: refuses connections"}},
		"no such topic":  {kafka.Config{Brokers: c.Bootstrap(realkafka.Plaintext), Topic: "nowhere"}, []string{"0 broker: ", "2 topic: does not exist"}},
		"wrong password": {kafka.Config{Brokers: c.Bootstrap(realkafka.SASLPlaintext), Topic: "one-copy", SASL: kafka.Plain("alice", "wrong")}, []string{"2 broker: KAFKA_SASL_PASSWORD"}},
		"no right to write": {
			kafka.Config{Brokers: c.Bootstrap(realkafka.SASLPlaintext), Topic: "no-write", SASL: kafka.Plain(realkafka.OtherUser, realkafka.OtherPassword)},
			[]string{"0 broker: accepts the login (PLAIN)", "0 topic: ", "2 topic: WRITE", "1 topic: one copy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := kafka.Diagnose(t.Context(), tt.config)
			if len(found) != len(tt.want) {
				t.Fatalf("%d findings, want %d: %+v", len(found), len(tt.want), found)
			}
			for i, f := range found {
				grade, rest, _ := strings.Cut(tt.want[i], " ")
				subject, text, _ := strings.Cut(rest, ": ")
				if string('0'+rune(f.Grade)) != grade || !strings.HasPrefix(f.Subject, subject+" ") || !strings.Contains(f.Text, text) {
					t.Errorf("finding %+v, want %s", f, tt.want[i])
				}
			}
		})
	}
}
