package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/xdg-go/scram"

	"userrelay/handler/identity"
	"userrelay/handler/kafka/wire"
)

// Plain logs in with a user name and a password, which are sent unencrypted within the connection.
func Plain(username, password string) sasl.Mechanism {
	return plain.Mechanism{Username: username, Password: password}
}

// SCRAM logs in with a user name and a proof of the password (RFC 5802, RFC 7677). mechanism is SCRAM-SHA-256 or
// SCRAM-SHA-512. Name and password are used byte for byte, as in Kafka's own client. The RFC requires SASLprep, which
// turns "½" into "1⁄2" and refuses some characters; the broker does not prepare passwords, and would then have another
// one.
func SCRAM(mechanism, username, password string) sasl.Mechanism {
	hash := scram.SHA256
	if mechanism == "SCRAM-SHA-512" {
		hash = scram.SHA512
	}
	client, err := hash.NewClientUnprepped(username, password, "")
	return &scramLogin{name: mechanism, client: client, err: err}
}

// scramLogin does the same as kafka-go's sasl/scram, except the preparation. The client caches the keys that it
// derives from the password.
type scramLogin struct {
	name   string
	client *scram.Client
	err    error
}

// Name is the mechanism's name in the SASL handshake.
func (s *scramLogin) Name() string { return s.name }

// Start makes the first message of a login.
func (s *scramLogin) Start(context.Context) (sasl.StateMachine, []byte, error) {
	if s.err != nil {
		return nil, nil, s.err
	}
	conversation := s.client.NewConversation()
	first, err := conversation.Step("")
	return (*scramSession)(conversation), []byte(first), err
}

// scramSession is a login in progress.
type scramSession scram.ClientConversation

// Next answers the broker's challenge, and then checks the broker's own proof that it knows the password.
func (s *scramSession) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	conversation := (*scram.ClientConversation)(s)
	answer, err := conversation.Step(string(challenge))
	return conversation.Done(), []byte(answer), err
}

// OAuthBearer logs in with tokens of an identity (RFC 7628). Extensions are for brokers that require more data
// (KIP-342).
func OAuthBearer(tokens *identity.Tokens, extensions map[string]string) sasl.Mechanism {
	return &oauthBearer{tokens: tokens, extensions: extensions}
}

type oauthBearer struct {
	tokens     *identity.Tokens
	extensions map[string]string
}

// Name is the mechanism's name in the SASL handshake.
func (*oauthBearer) Name() string { return "OAUTHBEARER" }

// Start makes the first message of a login. The context carries the time limit of the connection.
func (o *oauthBearer) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	bearer, err := o.tokens.Get(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", wire.ErrToken, err)
	}
	var b strings.Builder
	b.WriteString("n,,\x01auth=Bearer " + bearer + "\x01")
	for _, key := range slices.Sorted(maps.Keys(o.extensions)) {
		b.WriteString(key + "=" + o.extensions[key] + "\x01")
	}
	b.WriteString("\x01")
	return &oauthSession{}, []byte(b.String()), nil
}

// oauthSession is a login in progress.
type oauthSession struct{}

// Next reads the broker's answer. An empty answer means that the token is accepted. Otherwise the answer is a reason
// in JSON; the client must answer with a single 0x01, and then the broker refuses the login with an error code.
func (s *oauthSession) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	if len(challenge) == 0 {
		return true, nil, nil
	}
	return false, []byte{1}, nil
}
