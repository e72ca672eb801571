package realkafka

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Listener is a listener of every node, by its name in Kafka's configuration.
type Listener string

// The listeners. All of them are bound to 127.0.0.1.
const (
	Plaintext     Listener = "PLAINTEXT"      // no TLS, no login; clients are User:ANONYMOUS, a super user
	SSL           Listener = "SSL"            // TLS, client certificate required; the principal is its common name
	SASLSSL       Listener = "SASL_SSL"       // TLS and PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER with unsecured tokens
	SASLPlaintext Listener = "SASL_PLAINTEXT" // PLAIN without TLS
	SASLReauth    Listener = "REAUTH"         // as SASLPlaintext; a session ends after Options.ReauthAfter
	JWKS          Listener = "JWKS"           // TLS and OAUTHBEARER; tokens must be signed by Cluster.Signer
	Internal      Listener = "INTERNAL"       // between brokers and for this package; never advertised under another address
)

const controller Listener = "CONTROLLER"

// The users for PLAIN and SCRAM. There are two so that an ACL can exclude one of them.
const (
	User          = "alice"
	Password      = "alice-secret"
	OtherUser     = "mallory"
	OtherPassword = "mallory-secret"
)

// ScramLogin is a SCRAM user.
type ScramLogin struct{ Name, Password string }

// Options says what to start. The zero value of everything but Home is usable.
type Options struct {
	// Home is the folder of an unpacked Kafka 4.x, with libs/*.jar. Required.
	Home string
	// Java is the program to run, Java 17 or newer. Default: java from PATH.
	Java string
	// Dir is the folder for logs, keys and data. The data of an earlier cluster with the same number of nodes is used
	// again. With listener JWKS its path must not need escaping in a URL. Default: a temporary folder that Close
	// removes.
	Dir string
	// Logins are more SCRAM users, whose passwords Kafka's own tool hashes. The tool does not accept commas; see
	// Cluster.AddLogin.
	Logins []ScramLogin
	// Nodes is 1 or 3. Default: 1. Three nodes replicate every topic three times and require two replicas in sync.
	Nodes int
	// Listeners besides Internal. Default: all of them on one node, Plaintext alone on three.
	Listeners []Listener
	// Advertise can put a proxy in front of a listener: it gets a node's id and real address before the node starts,
	// and returns the address for clients; returning addr changes nothing. If a port is taken and the cluster starts
	// again with new ports, it is called again for all of them.
	Advertise func(node int, l Listener, addr string) (string, error)
	// SessionTimeout is how long a dead broker still counts as alive: only after it leaders move, and the broker
	// itself can return. Default: 2 s with one node, 3 s with three.
	SessionTimeout time.Duration
	// ReauthAfter is the lifetime of a session on SASLReauth. Default: 3 s.
	ReauthAfter time.Duration
	// BrokerCert describes the brokers' certificate. Default: valid for a day for localhost and 127.0.0.1.
	BrokerCert CertSpec
	// Properties are added to every node's server.properties and override this package's values.
	Properties map[string]string
	// JVMFlags are added to the JVM's flags and override this package's values.
	JVMFlags []string
	// FullJIT omits -XX:TieredStopAtLevel=1, which makes starts faster but reduces throughput: for benchmarks.
	FullJIT bool
	// NoArchive starts without the class archive, and makes none.
	NoArchive bool
	// Log reports slow steps and failures that do not prevent the start. Default: no log.
	Log *slog.Logger

	archiveAtExit string // file that the JVM writes its loaded classes to when it ends
}

func (o Options) complete() (Options, error) {
	if o.Home == "" {
		return o, errors.New("no Kafka: Home is empty")
	}
	o.Java = cmp.Or(o.Java, "java")
	o.Nodes = cmp.Or(o.Nodes, 1)
	if o.Nodes != 1 && o.Nodes != 3 {
		return o, fmt.Errorf("%d nodes: 1 and 3 are possible", o.Nodes)
	}
	listeners, session := []Listener{Plaintext, SSL, SASLSSL, SASLPlaintext, SASLReauth, JWKS}, 2*time.Second
	if o.Nodes > 1 {
		listeners, session = []Listener{Plaintext}, 3*time.Second
	}
	if o.Listeners == nil {
		o.Listeners = listeners
	}
	for i, l := range o.Listeners {
		if l.protocol() == "" || l == Internal || l == controller || slices.Contains(o.Listeners[:i], l) {
			return o, fmt.Errorf("listener %q: unknown, given twice or not for choice", l)
		}
	}
	if o.Advertise == nil {
		o.Advertise = func(_ int, _ Listener, addr string) (string, error) { return addr, nil }
	}
	o.SessionTimeout = cmp.Or(o.SessionTimeout, session)
	o.ReauthAfter = cmp.Or(o.ReauthAfter, 3*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o, nil
}

// protocol is the listener's Kafka security protocol, empty for an unknown listener.
func (l Listener) protocol() string {
	switch l {
	case Plaintext, Internal, controller:
		return "PLAINTEXT"
	case SSL:
		return "SSL"
	case SASLSSL, JWKS:
		return "SASL_SSL"
	case SASLPlaintext, SASLReauth:
		return "SASL_PLAINTEXT"
	default:
		return ""
	}
}
