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
	values, err := pairs(s)
	if err != nil {
		return Connection{}, err
	}
	key := values["instrumentationkey"]
	if !regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`).MatchString(key) {
		return Connection{}, errors.New("must have an InstrumentationKey, a GUID")
	}
	u, err := url.Parse(endpoint(values))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return Connection{}, errors.New("must have an ingestion endpoint that is a URL of http or https")
	}
	return Connection{InstrumentationKey: key, Endpoint: strings.TrimSuffix(u.String(), "/") + trackPath}, nil
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
			return nil, errors.New("must be Key=Value pairs with ';' between them, as the portal shows it")
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
