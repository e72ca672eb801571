package realkafka

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// properties is the content of a Java properties file.
type properties map[string]string

// String returns the file's content, sorted. Java reads it as Latin-1 and treats a backslash, as in Windows paths, as
// an escape.
func (p properties) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(p)) {
		b.WriteString(k + "=")
		for _, u := range utf16.Encode([]rune(p[k])) {
			switch {
			case u == '\\':
				b.WriteString(`\\`)
			case u < ' ' || u > '~':
				fmt.Fprintf(&b, `\u%04x`, u)
			default:
				b.WriteByte(byte(u))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// properties returns the node's server.properties.
func (n *Node) properties() properties {
	c := n.cluster
	copies := strconv.Itoa(len(c.nodes))
	p := properties{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(n.id),
		"controller.listener.names":      string(controller),
		"inter.broker.listener.name":     string(Internal),
		"log.dirs":                       n.dataDir(),
		"num.partitions":                 "4",
		"auto.create.topics.enable":      "false",
		"default.replication.factor":     copies,
		"authorizer.class.name":          "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                    "User:ANONYMOUS", // who comes by Internal, CONTROLLER or Plaintext
		"allow.everyone.if.no.acl.found": "true",

		// Internal topics as small as they can be.
		"offsets.topic.num.partitions":                     "1",
		"offsets.topic.replication.factor":                 copies,
		"transaction.state.log.num.partitions":             "1",
		"transaction.state.log.replication.factor":         copies,
		"transaction.state.log.min.isr":                    "1",
		"share.coordinator.state.topic.num.partitions":     "1",
		"share.coordinator.state.topic.replication.factor": copies,
		"share.coordinator.state.topic.min.isr":            "1",
		"group.initial.rebalance.delay.ms":                 "0",

		// With the default of 9 s a killed broker is refused for 12 s after its restart.
		"broker.session.timeout.ms":    millis(c.opts.SessionTimeout),
		"broker.heartbeat.interval.ms": millis(c.opts.SessionTimeout / 5),
		// The default, 128 MB allocated at start, does not fit the small heap.
		"log.cleaner.dedupe.buffer.size": "4194304",
		// Without this every rejected login takes 300 ms.
		"connection.failed.authentication.delay.ms": "0",
		"num.network.threads":                       "2",
		"num.io.threads":                            "4",
		"num.recovery.threads.per.data.dir":         "1",
	}
	n.addListeners(p)
	if len(c.nodes) > 1 {
		maps.Copy(p, properties{
			"min.insync.replicas":                   "2",
			"controller.quorum.election.timeout.ms": "500",
			"controller.quorum.fetch.timeout.ms":    millis(c.opts.SessionTimeout / 2),
			"replica.lag.time.max.ms":               millis(c.opts.SessionTimeout),
			"replica.fetch.wait.max.ms":             "100",
			"num.network.threads":                   "1",
			"num.io.threads":                        "2",
		})
	}
	maps.Copy(p, c.opts.Properties)
	return p
}

// addListeners adds the node's listeners and their authentication.
func (n *Node) addListeners(p properties) {
	c := n.cluster
	var listeners, advertised, protocols, voters []string
	for _, l := range c.listeners() {
		listeners = append(listeners, fmt.Sprintf("%s://%s", l, n.addrs[l]))
		protocols = append(protocols, fmt.Sprintf("%s:%s", l, l.protocol()))
		if l != controller {
			advertised = append(advertised, fmt.Sprintf("%s://%s", l, n.advertised[l]))
		}
	}
	for _, m := range c.nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", m.id, m.addrs[controller]))
	}
	p["listeners"] = strings.Join(listeners, ",")
	p["advertised.listeners"] = strings.Join(advertised, ",")
	p["listener.security.protocol.map"] = strings.Join(protocols, ",")
	p["controller.quorum.voters"] = strings.Join(voters, ",")

	p["ssl.keystore.type"] = "PEM"
	p["ssl.keystore.location"] = c.path(brokerPEM)
	p["ssl.truststore.type"] = "PEM"
	p["ssl.truststore.location"] = c.path(caPEM)
	p["ssl.principal.mapping.rules"] = "RULE:^CN=([^,]+).*$/$1/,DEFAULT"
	for _, l := range c.opts.Listeners {
		n.addLogin(p, l)
	}
}

// addLogin adds the authentication of a listener.
func (n *Node) addLogin(p properties, l Listener) {
	const oauth = "org.apache.kafka.common.security.oauthbearer."
	const plain = "org.apache.kafka.common.security.plain.PlainLoginModule required" +
		` user_` + User + `="` + Password + `" user_` + OtherUser + `="` + OtherPassword + `";`
	const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	prefix := "listener.name." + strings.ToLower(string(l)) + "."
	switch l {
	case SSL:
		p[prefix+"ssl.client.auth"] = "required"
	case SASLSSL:
		p[prefix+"sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
		p[prefix+"plain.sasl.jaas.config"] = plain
		p[prefix+"scram-sha-256.sasl.jaas.config"] = scram
		p[prefix+"scram-sha-512.sasl.jaas.config"] = scram
		p[prefix+"oauthbearer.sasl.jaas.config"] = oauth + `OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`
	case SASLPlaintext, SASLReauth:
		p[prefix+"sasl.enabled.mechanisms"] = "PLAIN"
		p[prefix+"plain.sasl.jaas.config"] = plain
		if l == SASLReauth {
			p[prefix+"plain.connections.max.reauth.ms"] = millis(n.cluster.opts.ReauthAfter)
		}
	case JWKS:
		p[prefix+"sasl.enabled.mechanisms"] = "OAUTHBEARER"
		prefix += "oauthbearer.sasl."
		p[prefix+"jaas.config"] = oauth + "OAuthBearerLoginModule required;"
		p[prefix+"server.callback.handler.class"] = oauth + "OAuthBearerValidatorCallbackHandler"
		p[prefix+"oauthbearer.jwks.endpoint.url"] = n.cluster.jwksURL()
		p[prefix+"oauthbearer.expected.audience"] = Audience
		p[prefix+"oauthbearer.expected.issuer"] = Issuer
	case Plaintext, Internal, controller:
	}
}

// jwksURL returns the URL of the keys for the JWKS listener, which is a file.
func (c *Cluster) jwksURL() string {
	p := filepath.ToSlash(c.path(jwksFile))
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a Windows path begins with its drive
	}
	return (&url.URL{Scheme: "file", Path: p}).String()
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
