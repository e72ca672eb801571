package main

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/go-cmp/cmp"

	"userrelay/handler/identity"
)

func TestInsightsSettings(t *testing.T) {
	t.Parallel()
	const (
		id         = "01234567-89ab-cdef-0123-456789abcdef"
		connection = "InstrumentationKey=" + id
		west       = connection + ";IngestionEndpoint=https://westeurope-1.in.applicationingest.azure.com/;AADAudience=https://monitor.azure.us/"

		connectionName, identityName = "APPLICATIONINSIGHTS_CONNECTION_STRING: ", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING: "
	)
	for name, c := range map[string]struct {
		connection, authentication string
		identity                   *identity.Identity
		wrong                      configError
	}{
		"neither":                     {"", "", nil, nil},
		"console only":                {" ", " ", nil, nil},
		"no token":                    {connection, "", nil, nil},
		"the app's identity":          {west, "Authorization=AAD", &identity.Identity{Kind: identity.Managed}, nil},
		"an identity of its own":      {west, " Authorization=AAD;ClientId=" + id, &identity.Identity{Kind: identity.Managed, Managed: azidentity.ClientID(id)}, nil},
		"on this machine":             {connection + ";IngestionEndpoint=http://127.0.0.1:1", "Authorization=AAD", &identity.Identity{Kind: identity.Managed}, nil},
		"an identity without a use":   {"", "Authorization=AAD", &identity.Identity{Kind: identity.Managed}, nil},
		"wrong connection":            {"secret", "", nil, configError{connectionName + "must be Key=Value pairs separated by ';', as the portal shows it"}},
		"wrong identity":              {connection, "secret", nil, configError{identityName + "must have Authorization=AAD"}},
		"wrong identity, without use": {"", "Authorization=secret", nil, configError{identityName + "must have Authorization=AAD; no other kind is supported"}},
		"both wrong": {connection + ";AADAudience=secret", "Authorization=AAD;ClientId=secret", nil, configError{
			connectionName + "must have an AADAudience that is a URL of https", identityName + "must have a ClientId that is a GUID, or none",
		}},
		"a token unencrypted": {connection + ";IngestionEndpoint=http://proxy.example.com", "Authorization=AAD", nil, configError{
			identityName + "needs an ingestion endpoint of https in APPLICATIONINSIGHTS_CONNECTION_STRING: a token must not be sent unencrypted",
		}},
	} {
		s, err := load(variablesOf([]string{
			"KAFKA_BROKERS=127.0.0.1:9092", "OUTBOX=off",
			"APPLICATIONINSIGHTS_CONNECTION_STRING=" + c.connection, "APPLICATIONINSIGHTS_AUTHENTICATION_STRING=" + c.authentication,
		}), toCheck)
		if diff := cmp.Diff(c.wrong, wrongIn(t, err)); diff != "" {
			t.Errorf("%s: wrong (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(c.identity, s.Identity); diff != "" {
			t.Errorf("%s: identity (-want +got):\n%s", name, diff)
		}
		if (s.Insights != nil) != (c.wrong == nil && len(c.connection) > 1) {
			t.Errorf("%s: connection %+v", name, s.Insights)
		}
	}
}
