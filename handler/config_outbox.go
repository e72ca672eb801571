package main

import (
	"fmt"
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
// developing Azure Functions", common properties for identity-based connections).
type storageIdentity struct {
	managed    bool
	clientID   string
	resourceID string
	tenantID   string // with clientID and secret: an application
	secret     string
}

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

func loadAccount(env *environment) outbox.Account {
	const address, name = storage + "__queueServiceUri", storage + "__accountName"
	setting, parse := storage, outbox.ParseConnectionString
	switch { // in the host's order
	case env.text(storage) != "":
	case env.text(address) != "":
		setting, parse = address, outbox.AccountAt
	case env.text(name) != "":
		setting, parse = name, outbox.NamedAccount
	default:
		env.fail(storage, "is missing, and so is "+name+": the storage account that holds the outbox; OUTBOX=off does without one")
		return outbox.Account{}
	}
	account, err := parse(env.text(setting))
	if err != nil {
		env.fail(setting, err.Error())
	}
	return account
}

func loadStorageIdentity(env *environment) storageIdentity {
	const credential, clientID, resourceID, tenantID, secret = storage + "__credential", storage + "__clientId",
		storage + "__managedIdentityResourceId", storage + "__tenantId", storage + "__clientSecret"
	i := storageIdentity{
		managed:  env.oneOf(credential, "", "managedidentity") != "",
		clientID: env.text(clientID), resourceID: env.text(resourceID),
		tenantID: env.text(tenantID), secret: env.get(secret),
	}
	switch {
	case i.clientID != "" && i.resourceID != "":
		env.fail(resourceID, "must be absent where "+clientID+" names the identity")
	case i.managed && i.secret != "":
		env.fail(secret, "must be absent with "+credential+"=managedidentity")
	case i.secret != "" && (i.tenantID == "" || i.clientID == ""):
		env.fail(secret, fmt.Sprintf("needs %s and %s beside it", tenantID, clientID))
	}
	if i.secret == "" && (i.clientID != "" || i.resourceID != "") {
		i.managed = true // whose, if not a managed identity's?
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
	case i.managed:
		var options azidentity.ManagedIdentityCredentialOptions
		switch {
		case i.clientID != "":
			options.ID = azidentity.ClientID(i.clientID)
		case i.resourceID != "":
			options.ID = azidentity.ResourceID(i.resourceID)
		}
		c, err = azidentity.NewManagedIdentityCredential(&options)
	default:
		c, err = azidentity.NewDefaultAzureCredential(nil)
	}
	if err != nil {
		return nil, fmt.Errorf("find the identity for the storage account: %w", err)
	}
	return c, nil
}

// newOutbox sets up the outbox.
func newOutbox(s *outboxSettings) (*outbox.Queue, error) {
	config := outbox.Config{Account: s.Account}
	if s.Account.ByIdentity() {
		var err error
		if config.Credential, err = s.Identity.credential(); err != nil {
			return nil, err
		}
	}
	q, err := outbox.New(config)
	if err != nil {
		return nil, fmt.Errorf("set up the outbox: %w", err)
	}
	return q, nil
}
