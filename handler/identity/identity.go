// Package identity gets tokens from Entra ID, for Kafka, the storage account and Application Insights.
//
// It promises that nobody waits for a new token while the old one is valid, and that concurrent callers cause one
// request to the identity service. The program uses no other cache than its Tokens. (azidentity has its own cache
// below them, which cannot be switched off and makes callers wait during a renewal.)
package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"userrelay/handler/setting"
)

// Kind is the kind of an identity, with the names that the settings of Azure Functions use.
type Kind string

// The kinds.
const (
	Machine     Kind = ""                 // the machine's: a managed identity, a workload identity or a developer's login
	Managed     Kind = "managedidentity"  // the platform's
	Workload    Kind = "workloadidentity" // of a pod in Kubernetes
	Application Kind = "application"      // one that has a secret
)

// Identity is an identity of Entra ID. The zero value is the machine's.
type Identity struct {
	Kind               Kind
	Managed            azidentity.ManagedIDKind // nil: the app's own
	ClientID, TenantID string
	Secret             string // of an application
}

// Tokens returns the identity's tokens for a scope. It fails if the machine has no such identity. It sends no request
// before the first token is needed.
func (i Identity) Tokens(scope string) (*Tokens, error) {
	credential, err := i.credential()
	if err != nil {
		return nil, fmt.Errorf("find the identity: %w", err)
	}
	return NewTokens(func(ctx context.Context) (string, time.Time, error) {
		t, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		return t.Token, t.ExpiresOn, err
	}), nil
}

func (i Identity) credential() (azcore.TokenCredential, error) {
	switch i.Kind {
	case Application:
		return azidentity.NewClientSecretCredential(i.TenantID, i.ClientID, i.Secret, nil)
	case Managed:
		return azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: i.Managed})
	case Workload:
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientID: i.ClientID, TenantID: i.TenantID})
	case Machine:
	}
	return azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{TenantID: i.TenantID})
}

// ParseAuthentication reads APPLICATIONINSIGHTS_AUTHENTICATION_STRING, "Authorization=AAD" and
// "Authorization=AAD;ClientId=<guid>", as the Functions host does, so that both use one setting
// (Azure/azure-webjobs-sdk, TokenCredentialOptions.cs): case does not matter, unknown and empty parts are ignored, and
// the last ClientId counts. The error repeats nothing of the string.
func ParseAuthentication(s string) (Identity, error) {
	i := Identity{Kind: Managed}
	authorized := false
	for name, value := range setting.Pairs(s) {
		switch name {
		case "authorization":
			if !strings.EqualFold(value, "AAD") {
				return Identity{}, errors.New("must have Authorization=AAD; no other kind is supported")
			}
			authorized = true
		case "clientid":
			if !setting.IsGUID(value) {
				return Identity{}, errors.New("must have a ClientId that is a GUID, or none")
			}
			i.Managed = azidentity.ClientID(value)
		}
	}
	if !authorized {
		return Identity{}, errors.New("must have Authorization=AAD")
	}
	return i, nil
}
