package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Authentication is what APPLICATIONINSIGHTS_AUTHENTICATION_STRING says: which managed identity sends the items.
type Authentication struct {
	ClientID string // of a user-assigned identity; "" is the system-assigned one
}

// ParseAuthentication reads "Authorization=AAD" and "Authorization=AAD;ClientId=<guid>" as the Functions host does, so
// that one setting is for both (Azure/azure-webjobs-sdk, TokenCredentialOptions.cs): without regard to case, unknown and
// empty parts ignored, the last ClientId counts. The error repeats nothing of the string.
func ParseAuthentication(s string) (Authentication, error) {
	var a Authentication
	authorized := false
	for part := range strings.SplitSeq(s, ";") {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "authorization":
			if !strings.EqualFold(value, "AAD") {
				return Authentication{}, errors.New("must have Authorization=AAD; no other kind is supported")
			}
			authorized = true
		case "clientid":
			if !isGUID(value) {
				return Authentication{}, errors.New("must have a ClientId that is a GUID, or none")
			}
			a.ClientID = value
		}
	}
	if !authorized {
		return Authentication{}, errors.New("must have Authorization=AAD")
	}
	return a, nil
}

// TokenSource returns a token of Entra ID that is valid now. It keeps tokens by itself.
type TokenSource func(ctx context.Context) (string, error)

// TokenSource returns the source of the identity's tokens for an audience. It fails where the platform has no such
// identity. Nothing is asked of the platform before the first token.
func (a Authentication) TokenSource(audience string) (TokenSource, error) {
	var options azidentity.ManagedIdentityCredentialOptions
	if a.ClientID != "" {
		options.ID = azidentity.ClientID(a.ClientID)
	}
	credential, err := azidentity.NewManagedIdentityCredential(&options)
	if err != nil {
		return nil, fmt.Errorf("find the managed identity for telemetry: %w", err)
	}
	// Two slashes: the audience that the ingestion endpoint knows ends in one (AuthConstants.cs of the .NET SDK).
	request := policy.TokenRequestOptions{Scopes: []string{audience + "//.default"}}
	return func(ctx context.Context) (string, error) {
		token, err := credential.GetToken(ctx, request)
		return token.Token, err
	}, nil
}
