// Package identity is who the program is to Entra ID: for Kafka, the storage account and Application Insights alike.
//
// It promises that nobody waits for a new token while an old one is good, and that many who need one at once ask the
// identity service once. Its Tokens are the only cache that the program asks. (azidentity has one of its own below them,
// which cannot be switched off, and makes callers wait when it renews.)
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

// Kind is the kind of an identity, as settings of Azure Functions name it.
type Kind string

// The kinds.
const (
	Machine     Kind = ""                 // what the machine has: a managed identity, a workload's, a developer's login
	Managed     Kind = "managedidentity"  // the platform's
	Workload    Kind = "workloadidentity" // of a pod in Kubernetes
	Application Kind = "application"      // one that has a secret
)

// Identity is one of Entra ID's. The zero value is the one that the machine has.
type Identity struct {
	Kind               Kind
	Managed            azidentity.ManagedIDKind // nil: the app's own
	ClientID, TenantID string
	Secret             string // of an application
}

// Tokens returns the identity's tokens for a scope. It fails where the machine has no such identity. Nothing is asked of
// anybody before the first token.
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
// "Authorization=AAD;ClientId=<guid>", as the Functions host does, so that one setting is for both
// (Azure/azure-webjobs-sdk, TokenCredentialOptions.cs): without regard to case, unknown and empty parts ignored, the last
// ClientId counts. The error repeats nothing of the string.
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
