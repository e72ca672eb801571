package main

import (
	"slices"
	"strings"
)

// warnUnknown warns about settings that seem to be meant for this program but are not read by it. It must be called
// after all settings have been read.
func warnUnknown(env *environment) {
	for _, name := range env.unread("KAFKA_") {
		upper := strings.ToUpper(name)
		if upper == "KAFKA_HOME" {
			continue
		}
		text := "is not a setting of userrelay and is not read"
		meant := elsewhere(upper)
		if meant == "" {
			meant = nearest(upper, knownNames(env, "kafka_"))
		}
		if meant != "" {
			text += ": is " + meant + " meant?"
		}
		env.warn(name, text)
	}
}

// knownNames returns the names with a prefix that were read, in upper case.
func knownNames(env *environment, prefix string) []string {
	var known []string
	for name := range env.asked {
		if strings.HasPrefix(name, prefix) {
			known = append(known, strings.ToUpper(name))
		}
	}
	slices.Sort(known)
	return known
}

// nearest returns the name that differs from another one by a typing mistake, ignoring case; "" if there is none.
func nearest(name string, known []string) string {
	const mistakes = 2
	best, least := "", mistakes+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// elsewhere returns the setting that a name of another program means: names of librdkafka, of the Java client's
// properties in container images, of Kafka's tools, and plausible guesses.
func elsewhere(name string) string {
	switch strings.TrimPrefix(name, "KAFKA_") {
	case "BROKER", "BROKER_LIST", "BROKER_URL", "BROKERS_URL", "BROKER_HOST", "BOOTSTRAP", "BOOTSTRAP_SERVER", "BOOTSTRAP_SERVERS", "BOOTSTRAP_BROKERS",
		"METADATA_BROKER_LIST", "SERVER", "SERVERS", "HOST", "HOSTS", "URL", "ADDRESS", "ADDR", "ENDPOINT":
		return "KAFKA_BROKERS"
	case "TOPICS", "TOPIC_NAME", "TOPIC_ID":
		return "KAFKA_TOPIC"
	case "PROTOCOL", "SASL_PROTOCOL", "SSL_PROTOCOL":
		return "KAFKA_SECURITY_PROTOCOL"
	case "MECHANISM", "SASL_MECHANISMS", "SASL_MECH", "AUTH_MECHANISM":
		return "KAFKA_SASL_MECHANISM"
	case "USER", "USERNAME", "USER_NAME", "LOGIN", "SASL_USER", "SASL_USER_NAME", "API_KEY", "SASL_PLAIN_USERNAME":
		return "KAFKA_SASL_USERNAME"
	case "PASS", "PASSWORD", "PASSWD", "SECRET", "SASL_PASS", "SASL_SECRET", "API_SECRET", "SASL_PLAIN_PASSWORD", "CONNECTION_STRING":
		return "KAFKA_SASL_PASSWORD"
	case "SCOPE", "SASL_OAUTHBEARER_SCOPE", "OAUTHBEARER_SCOPE":
		return "KAFKA_OAUTH_SCOPE"
	case "EXTENSIONS", "SASL_OAUTHBEARER_EXTENSIONS", "OAUTHBEARER_EXTENSIONS":
		return "KAFKA_OAUTH_EXTENSIONS"
	case "CA", "CA_CERT", "CA_FILE", "CACERT", "CERT_AUTHORITY", "SSL_CA", "SSL_CA_CERT", "SSL_CA_FILE", "SSL_CA_LOCATION", "SSL_CAFILE", "TLS_CA_CERT", "TLS_CA_FILE",
		"TRUSTSTORE", "SSL_TRUSTSTORE", "SSL_TRUSTSTORE_LOCATION", "SSL_TRUSTSTORE_CERTIFICATES":
		return "KAFKA_TLS_CA"
	case "CERT", "CERTIFICATE", "CLIENT_CERT", "CLIENT_CERTIFICATE", "SSL_CERT", "SSL_CERTFILE", "SSL_CERTIFICATE", "SSL_CERTIFICATE_LOCATION", "TLS_CERTIFICATE", "TLS_CERT_FILE",
		"TLS_CLIENT_CERT", "SSL_KEYSTORE_LOCATION", "SSL_KEYSTORE_CERTIFICATE_CHAIN":
		return "KAFKA_TLS_CERT"
	case "KEY", "CLIENT_KEY", "PRIVATE_KEY", "SSL_KEY", "SSL_KEYFILE", "SSL_KEY_LOCATION", "TLS_KEY_FILE", "TLS_CLIENT_KEY", "SSL_KEYSTORE_KEY":
		return "KAFKA_TLS_KEY"
	case "TIMEOUT_MS", "REQUEST_TIMEOUT", "REQUEST_TIMEOUT_MS", "DELIVERY_TIMEOUT_MS", "PRODUCE_TIMEOUT":
		return "KAFKA_TIMEOUT"
	default:
		return ""
	}
}

// distance is the number of insertions, deletions, replacements and swaps of neighbouring letters that turn a into b.
func distance(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(last[j+1]+1, next[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
