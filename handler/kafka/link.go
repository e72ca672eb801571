package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
)

// link is a connection to a broker that is ready for requests: TLS, versions and login are done. One goroutine uses it at
// a time. After an error it is of no use: what was asked may be answered still, and that answer must never be taken for
// the next request's.
type link struct {
	net.Conn // what requests are written to and answers read from
	tcp      net.Conn
	tls      *tls.Conn // nil: none
	links    *links
	address  string
	kafka    *protocol.Conn
	versions map[protocol.ApiKey]int16 // of what both sides know
	newest   int16                     // version of Metadata that the broker knows
	view     *view                     // what the cluster told on this connection; nil: not asked

	expires     time.Time
	used        time.Time
	pause       time.Duration // before the last request
	correlation int32
	sent        bool  // something of the last request was written
	broken      error // of the last Read: there is nothing more to come
}

// phase is what a connection was at when it failed before it was ready. It is part of the error.
type phase string

// The phases.
const (
	phaseTLS      phase = "TLS handshake"
	phaseVersions phase = "ask for API versions"
	phaseLogin    phase = "login"
)

func (p phase) Error() string { return string(p) }

var (
	errAnswer   = errors.New("the broker's answer does not fit the request")
	errWantsTLS = errors.New("a TLS record came")
	errNotKafka = errors.New("something else than an answer of Kafka came")
	errVersion  = errors.New("the broker knows no version of a request that this program knows")
)

const (
	maxAnswer   = 16 << 20 // bytes; the largest, metadata of a topic with many partitions, is a hundredth of it
	alertRecord = 21       // first byte of a TLS record with an alert; its second is 3 (RFC 8446, section 5.1)
)

// abort has a request that is under way fail. Any goroutine may call it.
func (l *link) abort() { _ = l.tcp.Close() }

// close ends the connection, without a TLS goodbye, which may wait.
func (l *link) close() {
	l.links.remove(l)
	_ = l.tcp.Close()
}

// open makes the connection ready for requests.
func (l *link) open(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	if l.links.tls != nil {
		config := l.links.tls().Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(l.address) // it was dialled
		}
		l.tls = tls.Client(l.tcp, config)
		if err := l.tls.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("%w: %w", phaseTLS, err)
		}
		l.Conn = l.tls
	}
	l.kafka = protocol.NewConn(l, l.links.clientID)
	l.versions = map[protocol.ApiKey]int16{protocol.ApiVersions: 0}
	known, err := exchange[*apiversions.Response](l, deadline, &apiversions.Request{})
	if err == nil && known.ErrorCode != 0 {
		err = code(known.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", phaseVersions, err)
	}
	for _, k := range known.ApiKeys {
		key := protocol.ApiKey(k.ApiKey)
		if key == protocol.Metadata {
			l.newest = k.MaxVersion
		}
		if k.MinVersion <= key.MaxVersion() && k.MaxVersion >= key.MinVersion() {
			l.versions[key] = key.SelectVersion(k.MinVersion, k.MaxVersion)
		}
	}
	if l.links.sasl != nil {
		if err := l.login(ctx, deadline); err != nil {
			return fmt.Errorf("%w: %w", phaseLogin, err)
		}
	}
	return nil
}

// login makes the SASL exchange, and has the connection expire before the session does (KIP-368).
func (l *link) login(ctx context.Context, deadline time.Time) error {
	mechanism := l.links.sasl
	shake, err := exchange[*saslhandshake.Response](l, deadline, &saslhandshake.Request{Mechanism: mechanism.Name()})
	switch {
	case err != nil:
		return err
	case shake.ErrorCode != 0:
		return code(shake.ErrorCode)
	}
	host, port, _ := net.SplitHostPort(l.address)
	number, _ := strconv.Atoi(port)
	session, message, err := mechanism.Start(sasl.WithMetadata(ctx, &sasl.Metadata{Host: host, Port: number}))
	if err != nil {
		return err
	}
	for done := false; !done; {
		answer, err := exchange[*saslauthenticate.Response](l, deadline, &saslauthenticate.Request{AuthBytes: message})
		switch {
		case errors.Is(err, io.EOF) && l.versions[protocol.SaslHandshake] == 0: // such a broker answers without an error code
			return codeAuthenticationFailed
		case err != nil:
			return err
		case answer.ErrorCode != 0:
			return code(answer.ErrorCode)
		}
		l.expireBefore(answer.SessionLifetimeMs)
		if done, message, err = session.Next(ctx, answer.AuthBytes); err != nil {
			return err
		}
	}
	return nil
}

// expireBefore has the connection be replaced when four fifths of its session's lifetime are over; 0: it has no end.
func (l *link) expireBefore(sessionMs int64) {
	const longest = 1 << 40 // ms; a duration must hold it
	if sessionMs <= 0 {
		return
	}
	if end := time.Now().Add(time.Duration(min(sessionMs, longest)) * time.Millisecond / 5 * 4); end.Before(l.expires) {
		l.expires = end
	}
}

// begin must be called before a request, or several, are sent.
func (l *link) begin(deadline time.Time) error {
	l.sent, l.pause = false, time.Since(l.used)
	if err := l.SetDeadline(deadline); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	return nil
}

// request is one that has been sent.
type request struct {
	key         protocol.ApiKey
	version     int16
	correlation int32
}

// send sends a request. Its answer must be received before anything else that was sent later.
func (l *link) send(m protocol.Message) (request, error) {
	version, ok := l.versions[m.ApiKey()]
	if !ok {
		return request{}, fmt.Errorf("%s: %w", m.ApiKey(), errVersion)
	}
	l.correlation++
	r := request{m.ApiKey(), version, l.correlation}
	return r, protocol.WriteRequest(l.kafka, version, r.correlation, l.links.clientID, m)
}

// receive returns the answer of a request.
func (l *link) receive(r request) (protocol.Message, error) {
	if err := l.checkSize(); err != nil {
		return nil, err
	}
	correlation, m, err := protocol.ReadResponse(l.kafka, r.key, r.version)
	l.used = time.Now()
	if err == nil && correlation != r.correlation {
		err = errAnswer
	}
	return m, err
}

// checkSize looks at the first bytes of an answer. kafka-go believes whatever comes: it takes the first bytes of a web
// server for the size of an answer, and the next for that of a list, for which it makes room.
func (l *link) checkSize() error {
	b, err := l.kafka.Peek(4)
	if err != nil {
		if len(b) > 0 && errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	switch {
	case b[0] == alertRecord && b[1] == 3:
		return errWantsTLS
	case binary.BigEndian.Uint32(b) > maxAnswer:
		return errNotKafka
	default:
		return nil
	}
}

// exchange sends a request and returns its answer. l.sent says then whether anything went out.
func exchange[A protocol.Message](l *link, deadline time.Time, m protocol.Message) (A, error) {
	var none A
	if err := l.begin(deadline); err != nil {
		return none, err
	}
	if raw, ok := m.(protocol.RawExchanger); ok && raw.Required(l.versions) { // SASL before it was wrapped in requests
		return answerAs[A](raw.RawExchange(l.kafka))
	}
	r, err := l.send(m)
	if err != nil {
		return none, err
	}
	return answerAs[A](l.receive(r))
}

// answerAs returns an answer as what it should be.
func answerAs[A protocol.Message](m protocol.Message, err error) (A, error) {
	answer, ok := m.(A)
	if err == nil && !ok {
		err = errAnswer
	}
	return answer, err
}

func (l *link) Write(b []byte) (int, error) {
	l.sent = true
	return l.Conn.Write(b)
}

// Read fails for good after its first error: kafka-go reads on after one, to drop the rest of the answer.
func (l *link) Read(b []byte) (int, error) {
	if l.broken != nil {
		return 0, l.broken
	}
	n, err := l.Conn.Read(b)
	l.broken = err
	return n, err
}

// good says whether the connection may be used for another request.
func (l *link) good(now time.Time) bool {
	idle := now.Sub(l.used)
	return now.Before(l.expires) && idle < idleTimeout && int64(l.used.Sub(l.links.started)) >= l.links.dead.Load() && (idle <= pauseBeforeCheck || !l.closedByPeer())
}

// closedByPeer says whether the other side has closed the connection. What waits to be read between two requests is never
// an answer: on TLS it may be a note that the connection ends, so it is read.
func (l *link) closedByPeer() bool {
	if l.SetDeadline(time.Time{}) != nil { // that of the last request is over: the socket could not be looked at
		return true
	}
	pending, closed := peek(l.tcp)
	if closed || !pending {
		return closed
	}
	if l.tls == nil {
		return true // no broker speaks unasked
	}
	if l.tls.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return true
	}
	n, err := l.tls.Read(make([]byte, 1))
	timeout, ok := errors.AsType[net.Error](err)
	return n > 0 || !ok || !timeout.Timeout()
}
