package ingest

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Connection is what a connection string of Application Insights says.
type Connection struct {
	InstrumentationKey string
	Endpoint           string // URL that items are posted to
	Audience           string // that tokens for the endpoint are made for, a URL without a slash at its end
}

const (
	maxConnectionString = 4096 // characters, as Microsoft's SDKs have it
	globalEndpoint      = "https://dc.services.visualstudio.com"
	trackPath           = "/v2.1/track"
	publicAudience      = "https://monitor.azure.com"
)

// ParseConnection reads a connection string: Key=Value pairs with ';' between them, keys without regard to case, unknown
// ones ignored. An explicit IngestionEndpoint wins over EndpointSuffix (with Location), which wins over the global
// endpoint; AADAudience is that of the public cloud where it is absent. The error says what is wrong and repeats nothing
// of the string.
func ParseConnection(s string) (Connection, error) {
	values, err := pairs(s)
	if err != nil {
		return Connection{}, err
	}
	key := values["instrumentationkey"]
	if !isGUID(key) {
		return Connection{}, errors.New("must have an InstrumentationKey, a GUID")
	}
	u, err := parseURL(endpoint(values))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return Connection{}, errors.New("must have an ingestion endpoint that is a URL of http or https")
	}
	audience := publicAudience
	if explicit := values["aadaudience"]; explicit != "" {
		a, err := parseURL(explicit)
		if err != nil || a.Scheme != "https" {
			return Connection{}, errors.New("must have an AADAudience that is a URL of https")
		}
		audience = strings.TrimRight(a.String(), "/")
	}
	return Connection{InstrumentationKey: key, Endpoint: strings.TrimRight(u.String(), "/") + trackPath, Audience: audience}, nil
}

// Confidential says whether what is sent to the endpoint is safe from others: by https, or because it does not leave
// this machine. A token is sent nowhere else.
func (c Connection) Confidential() bool {
	u, err := url.Parse(c.Endpoint)
	return err == nil && confidential(u)
}

func confidential(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

func isGUID(s string) bool {
	return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`).MatchString(s)
}

var errURL = errors.New("not a plain URL")

// parseURL reads a URL that has a host and, but for a path, nothing else.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errURL // the parser's own error repeats the text
	}
	return u, nil
}

// pairs reads Key=Value pairs with ';' between them. Keys are lower-case in the result.
func pairs(s string) (map[string]string, error) {
	if len(s) > maxConnectionString {
		return nil, errors.New("must be at most 4096 characters")
	}
	values := map[string]string{}
	for pair := range strings.SplitSeq(s, ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !ok || key == "" {
			return nil, errors.New("must be Key=Value pairs separated by ';', as the portal shows it")
		}
		if _, twice := values[key]; twice {
			return nil, errors.New("has a key twice")
		}
		values[key] = strings.TrimSpace(value)
	}
	return values, nil
}

func endpoint(values map[string]string) string {
	if explicit := values["ingestionendpoint"]; explicit != "" {
		return explicit
	}
	suffix := strings.TrimPrefix(values["endpointsuffix"], ".")
	if suffix == "" {
		return globalEndpoint
	}
	if location := strings.TrimSuffix(values["location"], "."); location != "" {
		return "https://" + location + ".dc." + suffix
	}
	return "https://dc." + suffix
}
