package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"userrelay/handler/token"
)

// Plain logs in with a user name and a password that go over the connection as they are.
func Plain(username, password string) sasl.Mechanism {
	return plain.Mechanism{Username: username, Password: password}
}

// SCRAM logs in with a user name and a proof of the password. mechanism is SCRAM-SHA-256 or SCRAM-SHA-512. It fails
// for names and passwords that SASLprep (RFC 4013) forbids.
func SCRAM(mechanism, username, password string) (sasl.Mechanism, error) {
	algorithm := scram.SHA256
	if mechanism == scram.SHA512.Name() {
		algorithm = scram.SHA512
	}
	m, err := scram.Mechanism(algorithm, username, password)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: the user name or the password holds characters that it does not allow", mechanism)
	}
	return m, nil
}

// OAuthBearer logs in with tokens of the source (RFC 7628). Extensions are for brokers that want to be told more (KIP-342).
func OAuthBearer(source token.Source, extensions map[string]string) sasl.Mechanism {
	return &oauthBearer{tokens: token.NewCache(source), extensions: extensions}
}

type oauthBearer struct {
	tokens     *token.Cache
	extensions map[string]string
}

// Name is the mechanism's name in the SASL handshake.
func (*oauthBearer) Name() string { return "OAUTHBEARER" }

// Start makes the first message of a login. The context carries the time limit of the connection.
func (o *oauthBearer) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	bearer, err := o.tokens.Get(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errToken, err)
	}
	var b strings.Builder
	b.WriteString("n,,\x01auth=Bearer " + bearer + "\x01")
	for _, key := range slices.Sorted(maps.Keys(o.extensions)) {
		b.WriteString(key + "=" + o.extensions[key] + "\x01")
	}
	b.WriteString("\x01")
	return &oauthSession{}, []byte(b.String()), nil
}

var errToken = errors.New("get a token")

// oauthSession is a login under way.
type oauthSession struct{}

// Next reads the broker's answer: nothing means that the token is accepted, else it is a reason in JSON, to be answered
// with a single 0x01, upon which the broker fails the login with an error code of its own.
func (s *oauthSession) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	if len(challenge) == 0 {
		return true, nil, nil
	}
	return false, []byte{1}, nil
}
