package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"userrelay/handler/outbox"
)

// outboxSettings say which storage account holds the outbox: the function app's own, as the Functions host reads it.
type outboxSettings struct {
	Account  outbox.Account
	Identity storageIdentity // that enters it, where no key or signature does
	Timeout  time.Duration
}

// storageIdentity is what the settings AzureWebJobsStorage__… say of an identity (Microsoft Learn, "Guidance for
// developing Azure Functions", common properties for identity-based connections; ClientFactory of Microsoft.Extensions.Azure).
type storageIdentity struct {
	kind     string                   // of credential: "" the one that the machine has, managedIdentity, workloadIdentity
	managed  azidentity.ManagedIDKind // nil: the app's own
	clientID string
	tenantID string
	secret   string // of an application
}

const (
	managedIdentity  = "managedidentity"
	workloadIdentity = "workloadidentity"
)

const storage = "AzureWebJobsStorage"

func loadOutbox(env *environment) *outboxSettings {
	timeout := env.duration("OUTBOX_TIMEOUT", 1500*time.Millisecond, maxDelivery)
	if env.oneOf("OUTBOX", "on", "off") == "off" {
		return nil
	}
	o := &outboxSettings{Timeout: timeout}
	o.Account = loadAccount(env)
	if o.Account.ByIdentity() {
		o.Identity = loadStorageIdentity(env)
	}
	return o
}

// loadAccount reads the account as the host does, in its order (azure-webjobs-sdk, StorageClientProvider and
// ConfigurationExtensions): another order could make the handler fill a queue that nobody drains.
func loadAccount(env *environment) outbox.Account {
	for _, setting := range []struct {
		name  string
		parse func(string) (outbox.Account, error)
	}{
		{"ConnectionStrings__" + storage, outbox.ParseConnectionString},
		{"CUSTOMCONNSTR_" + storage, outbox.ParseConnectionString},
		{storage, outbox.ParseConnectionString},
		{storage + "__accountName", outbox.NamedAccount},
		{storage + "__queueServiceUri", outbox.AccountAt},
	} {
		text := env.text(setting.name)
		if text == "" {
			continue
		}
		account, err := setting.parse(text)
		if err != nil {
			env.fail(setting.name, err.Error())
		}
		return account
	}
	env.fail(storage, "is missing, and so is "+storage+"__accountName: the storage account that holds the outbox; OUTBOX=off does without one")
	return outbox.Account{}
}

func loadStorageIdentity(env *environment) storageIdentity {
	const secret = storage + "__clientSecret"
	i := storageIdentity{
		kind:     env.oneOf(storage+"__credential", "", managedIdentity, workloadIdentity),
		clientID: env.text(storage + "__clientId"), tenantID: env.text(storage + "__tenantId"), secret: env.get(secret),
	}
	var named []string // settings that name a managed identity
	for name, id := range map[string]azidentity.ManagedIDKind{
		"clientId":                  azidentity.ClientID(i.clientID),
		"managedIdentityClientId":   azidentity.ClientID(env.text(storage + "__managedIdentityClientId")),
		"managedIdentityObjectId":   azidentity.ObjectID(env.text(storage + "__managedIdentityObjectId")),
		"managedIdentityResourceId": azidentity.ResourceID(env.text(storage + "__managedIdentityResourceId")),
	} {
		if id.String() != "" {
			named, i.managed = append(named, storage+"__"+name), id
		}
	}
	slices.Sort(named)
	switch {
	case i.kind != "" && i.secret != "":
		env.fail(secret, "must be absent where "+storage+"__credential names another kind of identity")
	case i.secret != "" && (i.tenantID == "" || i.clientID == ""):
		env.fail(secret, "needs "+storage+"__tenantId and "+storage+"__clientId beside it")
	case i.kind != workloadIdentity && i.secret == "" && len(named) > 1:
		env.fail(named[1], "must be absent where "+named[0]+" names the identity")
	}
	if i.kind == "" && i.secret == "" && i.managed != nil {
		i.kind = managedIdentity // whose, if not a managed identity's?
	}
	return i
}

// credential returns the identity's tokens. Nothing is asked of anybody yet.
func (i storageIdentity) credential() (azcore.TokenCredential, error) {
	var (
		c   azcore.TokenCredential
		err error
	)
	switch {
	case i.secret != "":
		c, err = azidentity.NewClientSecretCredential(i.tenantID, i.clientID, strings.TrimSpace(i.secret), nil)
	case i.kind == managedIdentity:
		c, err = azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ID: i.managed})
	case i.kind == workloadIdentity:
		c, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientID: i.clientID, TenantID: i.tenantID})
	default:
		c, err = azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{TenantID: i.tenantID})
	}
	if err != nil {
		return nil, fmt.Errorf("find the identity for the storage account: %w", err)
	}
	return c, nil
}
