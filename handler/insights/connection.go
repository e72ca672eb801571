package insights

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// Connection is what a connection string of Application Insights says.
type Connection struct {
	InstrumentationKey string
	Endpoint           string // URL that items are posted to
}

const (
	maxConnectionString = 4096 // characters, as Microsoft's SDKs have it
	globalEndpoint      = "https://dc.services.visualstudio.com"
	trackPath           = "/v2.1/track"
)

// ParseConnection reads a connection string: Key=Value pairs with ';' between them, keys without regard to case, unknown
// ones ignored. An explicit IngestionEndpoint wins over EndpointSuffix (with Location), which wins over the global
// endpoint. The error says what is wrong and repeats nothing of the string.
func ParseConnection(s string) (Connection, error) {
	if len(s) > maxConnectionString {
		return Connection{}, errors.New("must be at most 4096 characters")
	}
	values := map[string]string{}
	for pair := range strings.SplitSeq(s, ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if !ok || key == "" {
			return Connection{}, errors.New("must be Key=Value pairs with ';' between them, as the portal shows it")
		}
		if _, twice := values[key]; twice {
			return Connection{}, errors.New("has a key twice")
		}
		values[key] = strings.TrimSpace(value)
	}
	if !regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`).MatchString(values["instrumentationkey"]) {
		return Connection{}, errors.New("must have an InstrumentationKey, a GUID")
	}
	endpoint := globalEndpoint
	if suffix := values["endpointsuffix"]; suffix != "" {
		host := "dc." + strings.TrimPrefix(suffix, ".")
		if location := values["location"]; location != "" {
			host = strings.TrimSuffix(location, ".") + "." + host
		}
		endpoint = "https://" + host
	}
	if explicit := values["ingestionendpoint"]; explicit != "" {
		endpoint = explicit
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return Connection{}, errors.New("must have an ingestion endpoint that is a URL of http or https")
	}
	return Connection{
		InstrumentationKey: values["instrumentationkey"],
		Endpoint:           strings.TrimSuffix(endpoint, "/") + trackPath,
	}, nil
}
