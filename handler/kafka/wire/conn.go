// Package wire opens connections to Kafka brokers that are ready for requests (TLS, versions, login), and says what
// their answers mean for a record and for an operator.
//
// It promises that nothing that a broker sends can make it read past an answer, allocate more than 16 MiB, or confuse
// the answers of two requests. The texts of Explain contain nothing that a broker sent.
package wire

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

// Conn is a connection to a broker that is ready for requests: TLS, versions and login are done. Only one goroutine
// may use it at a time. It must not be used after an error: the answer of the failed request may still arrive, and
// must never be read as that of the next one.
type Conn struct {
	net.Conn // for writing requests and reading answers
	tcp      net.Conn
	tls      *tls.Conn // nil: none
	dialer   *Dialer
	Address  string // host:port that was dialled
	kafka    *protocol.Conn
	versions map[protocol.ApiKey]int16 // supported by both sides
	newest   int16                     // version of Metadata that the broker supports
	View     *View                     // the metadata from this connection; nil: not requested

	Expires     time.Time     // it should not be used for new requests any more
	Used        time.Time     // when the last answer came
	pause       time.Duration // before the last request
	correlation int32
	Sent        bool  // something of the last request was written
	broken      error // of the last Read: the stream has ended
}

// Constant fields of requests.
const (
	AcksAll = -1 // Produce: every in-sync replica has the records before the broker answers
	Latest  = -1 // ListOffsets: the offset behind the last record
)

// Phase is the step at which a connection failed before it was ready. It is part of the error.
type Phase string

// The phases.
const (
	phaseTLS      Phase = "TLS handshake"
	phaseVersions Phase = "ask for API versions"
	phaseLogin    Phase = "login"
)

func (p Phase) Error() string { return string(p) }

var (
	// ErrAnswer says that a broker violates the protocol.
	ErrAnswer   = errors.New("the broker's answer does not fit the request")
	errWantsTLS = errors.New("a TLS record came")
	errNotKafka = errors.New("the data is not an answer of Kafka")
	errVersion  = errors.New("the broker knows no version of a request that this program knows")
)

const (
	maxAnswer   = 16 << 20 // bytes; the largest answers, metadata of a topic with many partitions, have a hundredth of that
	alertRecord = 21       // first byte of a TLS record with an alert; its second is 3 (RFC 8446, section 5.1)
)

// abort makes the request in progress fail. Any goroutine may call it.
func (c *Conn) abort() { _ = c.tcp.Close() }

// HangUp closes the connection without a TLS close message, which could block.
func (c *Conn) HangUp() {
	c.dialer.remove(c)
	_ = c.tcp.Close()
}

// open makes the connection ready for requests.
func (c *Conn) open(ctx context.Context) error {
	deadline, _ := ctx.Deadline()
	if c.dialer.tls != nil {
		config := c.dialer.tls().Clone()
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(c.Address) // it was dialled
		}
		c.tls = tls.Client(c.tcp, config)
		if err := c.tls.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("%w: %w", phaseTLS, err)
		}
		c.Conn = c.tls
	}
	c.kafka = protocol.NewConn(c, c.dialer.clientID)
	c.versions = map[protocol.ApiKey]int16{protocol.ApiVersions: 0}
	known, err := Exchange[*apiversions.Response](c, deadline, &apiversions.Request{})
	if err == nil && known.ErrorCode != 0 {
		err = Code(known.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", phaseVersions, err)
	}
	for _, k := range known.ApiKeys {
		key := protocol.ApiKey(k.ApiKey)
		if key == protocol.Metadata {
			c.newest = k.MaxVersion
		}
		if k.MinVersion <= key.MaxVersion() && k.MaxVersion >= key.MinVersion() {
			c.versions[key] = key.SelectVersion(k.MinVersion, k.MaxVersion)
		}
	}
	if c.dialer.sasl != nil {
		if err := c.login(ctx, deadline); err != nil {
			return fmt.Errorf("%w: %w", phaseLogin, err)
		}
	}
	return nil
}

// login makes the SASL exchange, and sets the connection to expire before the session (KIP-368).
func (c *Conn) login(ctx context.Context, deadline time.Time) error {
	mechanism := c.dialer.sasl
	shake, err := Exchange[*saslhandshake.Response](c, deadline, &saslhandshake.Request{Mechanism: mechanism.Name()})
	switch {
	case err != nil:
		return err
	case shake.ErrorCode != 0:
		return Code(shake.ErrorCode)
	}
	host, port, _ := net.SplitHostPort(c.Address)
	number, _ := strconv.Atoi(port)
	session, message, err := mechanism.Start(sasl.WithMetadata(ctx, &sasl.Metadata{Host: host, Port: number}))
	if err != nil {
		return err
	}
	for done := false; !done; {
		answer, err := Exchange[*saslauthenticate.Response](c, deadline, &saslauthenticate.Request{AuthBytes: message})
		switch {
		case errors.Is(err, io.EOF) && c.versions[protocol.SaslHandshake] == 0: // such a broker answers without an error code
			return codeAuthenticationFailed
		case err != nil:
			return err
		case answer.ErrorCode != 0:
			return Code(answer.ErrorCode)
		}
		c.expireBefore(answer.SessionLifetimeMs)
		if done, message, err = session.Next(ctx, answer.AuthBytes); err != nil {
			return err
		}
	}
	return nil
}

// expireBefore sets the connection to be replaced when four fifths of its session's lifetime are over; 0: no limit.
func (c *Conn) expireBefore(sessionMs int64) {
	const longest = 1 << 40 // ms; a duration must hold it
	if sessionMs <= 0 {
		return
	}
	if end := time.Now().Add(time.Duration(min(sessionMs, longest)) * time.Millisecond / 5 * 4); end.Before(c.Expires) {
		c.Expires = end
	}
}

// Begin must be called before one or more requests are sent.
func (c *Conn) Begin(deadline time.Time) error {
	c.Sent, c.pause = false, time.Since(c.Used)
	if err := c.SetDeadline(deadline); err != nil {
		return fmt.Errorf("set a deadline: %w", err)
	}
	return nil
}

// Request is one that has been sent.
type Request struct {
	key         protocol.ApiKey
	version     int16
	correlation int32
}

// Send sends a request. Answers must be received in the order of their requests.
func (c *Conn) Send(m protocol.Message) (Request, error) {
	version, ok := c.versions[m.ApiKey()]
	if !ok {
		return Request{}, fmt.Errorf("%s: %w", m.ApiKey(), errVersion)
	}
	c.correlation++
	r := Request{m.ApiKey(), version, c.correlation}
	return r, protocol.WriteRequest(c.kafka, version, r.correlation, c.dialer.clientID, m)
}

// Receive returns the answer of a request.
func (c *Conn) Receive(r Request) (protocol.Message, error) {
	if err := c.checkSize(); err != nil {
		return nil, err
	}
	correlation, m, err := protocol.ReadResponse(c.kafka, r.key, r.version)
	c.Used = time.Now()
	if err == nil && correlation != r.correlation {
		err = ErrAnswer
	}
	return m, err
}

// checkSize checks the first bytes of an answer. kafka-go checks nothing: it would read the first bytes from a web
// server as the size of an answer, and the next as the length of a list, and allocate memory for it.
func (c *Conn) checkSize() error {
	b, err := c.kafka.Peek(4)
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

// Exchange sends a request and returns its answer. Afterwards sent says whether anything was written.
func Exchange[A protocol.Message](l *Conn, deadline time.Time, m protocol.Message) (A, error) {
	var none A
	if err := l.Begin(deadline); err != nil {
		return none, err
	}
	if raw, ok := m.(protocol.RawExchanger); ok && raw.Required(l.versions) { // SASL before it was wrapped in requests
		return AnswerAs[A](raw.RawExchange(l.kafka))
	}
	r, err := l.Send(m)
	if err != nil {
		return none, err
	}
	return AnswerAs[A](l.Receive(r))
}

// AnswerAs converts an answer to its type.
func AnswerAs[A protocol.Message](m protocol.Message, err error) (A, error) {
	answer, ok := m.(A)
	if err == nil && !ok {
		err = ErrAnswer
	}
	return answer, err
}

func (c *Conn) Write(b []byte) (int, error) {
	c.Sent = true
	return c.Conn.Write(b)
}

// Read fails permanently after its first error, because kafka-go goes on to read after one, to skip the rest of the
// answer.
func (c *Conn) Read(b []byte) (int, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	n, err := c.Conn.Read(b)
	c.broken = err
	return n, err
}

// Good says whether the connection can be used for another request.
func (c *Conn) Good(now time.Time) bool {
	idle := now.Sub(c.Used)
	return now.Before(c.Expires) && idle < idleTimeout && int64(c.Used.Sub(c.dialer.started)) >= c.dialer.dead.Load() && (idle <= pauseBeforeCheck || !c.closedByPeer())
}

// closedByPeer says whether the other side has closed the connection. Data that arrives between two requests is never
// an answer. With TLS it may be the close message, so it is read.
func (c *Conn) closedByPeer() bool {
	if c.SetDeadline(time.Time{}) != nil { // the last request's deadline has passed, and would prevent looking at the socket
		return true
	}
	pending, closed := peek(c.tcp)
	if closed || !pending {
		return closed
	}
	if c.tls == nil {
		return true // brokers send nothing without a request
	}
	if c.tls.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return true
	}
	n, err := c.tls.Read(make([]byte, 1))
	timeout, ok := errors.AsType[net.Error](err)
	return n > 0 || !ok || !timeout.Timeout()
}
