package ingest

import (
	"errors"
	"net/url"
	"strings"

	"userrelay/handler/setting"
)

// Connection is a parsed connection string of Application Insights.
type Connection struct {
	InstrumentationKey string
	Endpoint           string // URL that items are posted to
	Audience           string // audience of tokens for the endpoint, a URL without a slash at its end
}

const (
	maxConnectionString = 4096 // characters, as in Microsoft's SDKs
	globalEndpoint      = "https://dc.services.visualstudio.com"
	trackPath           = "/v2.1/track"
	publicAudience      = "https://monitor.azure.com"
)

// ParseConnection reads a connection string: Key=Value pairs separated by ';'. The case of keys does not matter;
// unknown keys are ignored. An explicit IngestionEndpoint wins over EndpointSuffix (with Location), which wins over
// the global endpoint. The default of AADAudience is the public cloud's. The error says what is wrong and repeats
// nothing of the string.
func ParseConnection(s string) (Connection, error) {
	values, err := pairs(s)
	if err != nil {
		return Connection{}, err
	}
	key := values["instrumentationkey"]
	if !setting.IsGUID(key) {
		return Connection{}, errors.New("must have an InstrumentationKey, a GUID")
	}
	u, err := setting.URL(endpoint(values))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return Connection{}, errors.New("must have an ingestion endpoint that is a URL of http or https")
	}
	audience := publicAudience
	if explicit := values["aadaudience"]; explicit != "" {
		a, err := setting.URL(explicit)
		if err != nil || a.Scheme != "https" {
			return Connection{}, errors.New("must have an AADAudience that is a URL of https")
		}
		audience = strings.TrimRight(a.String(), "/")
	}
	return Connection{InstrumentationKey: key, Endpoint: strings.TrimRight(u.String(), "/") + trackPath, Audience: audience}, nil
}

// Confidential says whether others cannot read requests to the endpoint: it uses https, or is on this machine. Tokens
// are sent to no other endpoint.
func (c Connection) Confidential() bool {
	u, err := url.Parse(c.Endpoint)
	return err == nil && confidential(u)
}

// Scope returns the scope of tokens for the endpoint. It has two slashes, because the audience that the endpoint
// expects ends with one (AuthConstants.cs of the .NET SDK).
func (c Connection) Scope() string { return c.Audience + "//.default" }

func confidential(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && setting.Loopback(u.Hostname())
}

// pairs reads the pairs of a connection string.
func pairs(s string) (map[string]string, error) {
	if len(s) > maxConnectionString {
		return nil, errors.New("must be at most 4096 characters")
	}
	values := map[string]string{}
	for name, value := range setting.Pairs(s) {
		if name == "" {
			return nil, errors.New("must be Key=Value pairs separated by ';', as the portal shows it")
		}
		if _, twice := values[name]; twice {
			return nil, errors.New("has a key twice")
		}
		values[name] = value
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
