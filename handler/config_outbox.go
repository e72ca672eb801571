package main

import (
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"userrelay/handler/identity"
	"userrelay/handler/outbox"
)

// outboxSettings name the storage account that holds the outbox: the function app's own, read as the Functions host
// reads it.
type outboxSettings struct {
	Account  outbox.Account
	Identity identity.Identity // for access to it, if no key or signature is set
	Timeout  time.Duration
}

const storage = "AzureWebJobsStorage"

func loadOutbox(env *environment) *outboxSettings {
	timeout := env.duration("OUTBOX_TIMEOUT", 1500*time.Millisecond, minTimeout, maxDelivery)
	if env.oneOf("OUTBOX", "on", "off") == "off" || env.failed["OUTBOX"] {
		return nil
	}
	o := &outboxSettings{Timeout: timeout}
	account, from := loadAccount(env)
	o.Account = account
	if from.name != "" && account.ByIdentity() {
		o.Identity = loadStorageIdentity(env, from.section)
	}
	warnStorage(env, from)
	return o
}

// accountSetting returns the setting that names the account, and the section of the configuration that it belongs to.
// Both are "" if there is none or if it is wrong.
type accountSetting struct{ section, name string }

// storageSections are where the host looks for the account that AzureWebJobsStorage names. The first that holds
// anything counts (azure-webjobs-sdk, ConfigurationExtensions.GetWebJobsConnectionStringSection; the prefix
// CUSTOMCONNSTR_ is how App Service passes a connection string from its own list).
func storageSections() []string {
	var sections []string
	for _, name := range []string{"AzureWebJobs" + storage, storage} {
		sections = append(sections, "ConnectionStrings__"+name, "CUSTOMCONNSTR_"+name, name)
	}
	return sections
}

// loadAccount reads the account as the host does, in the same order: with another order the handler could fill a queue
// that nobody drains. Within a section the order is: the connection string, then what StorageClientProvider reads,
// then what ClientFactory of Microsoft.Extensions.Azure reads.
func loadAccount(env *environment) (outbox.Account, accountSetting) {
	for _, section := range storageSections() {
		for _, setting := range []struct {
			name  string
			parse func(string) (outbox.Account, error)
		}{
			{section, outbox.ParseConnectionString},
			{section + "__accountName", outbox.NamedAccount},
			{section + "__queueServiceUri", outbox.AccountAt},
			{section + "__serviceUri", outbox.AccountAt},
			{section + "__connectionString", outbox.ParseConnectionString},
		} {
			text := env.text(setting.name)
			if text == "" && !env.failed[setting.name] {
				continue
			}
			account, err := setting.parse(text)
			if err != nil {
				env.fail(setting.name, err.Error())
				return outbox.Account{}, accountSetting{}
			}
			return account, accountSetting{section, setting.name}
		}
	}
	env.fail(storage, "is missing, and so are "+storage+"__accountName and __queueServiceUri: the storage account that holds the outbox; OUTBOX=off does without one")
	return outbox.Account{}, accountSetting{}
}

// warnStorage warns about settings of the storage account that are set but not read.
func warnStorage(env *environment, from accountSetting) {
	if value, ok := env.vars.exact[storage]; ok && strings.TrimSpace(value) == "" && from.section == storage {
		env.warn(storage, "is set but empty: the Functions host reads even that as a connection string. Remove it")
	}
	for _, name := range env.unread(storage) {
		part, ours := strings.CutPrefix(fold(name), fold(storage+"__"))
		if fold(name) == fold(storage) {
			part, ours = "", true
		}
		if text := whyNotRead(part, from); ours && text != "" {
			env.warn(name, text)
		}
	}
}

// whyNotRead says why a part of the section is not read. The part "" is the connection string. It returns "" if
// nothing needs a warning.
func whyNotRead(part string, from accountSetting) string {
	known := func(p string) bool { return strings.EqualFold(p, part) }
	switch {
	case part == "" || slices.ContainsFunc(accountParts(), known):
		if from.name != "" {
			return "is not read: " + from.name + " comes before it"
		}
	case known("blobServiceUri") || known("tableServiceUri"):
		if from.name == "" {
			return "is not for queues: the outbox needs " + storage + "__queueServiceUri"
		}
	case slices.ContainsFunc(hostParts(), known):
		return "is read by the Functions host only: the handler cannot log in this way"
	default:
		if meant := nearest(part, accountParts()); meant != "" {
			return "is not read: is " + storage + "__" + meant + " meant?"
		}
		return "is not read"
	}
	return ""
}

// accountParts are the settings of a section that are read.
func accountParts() []string {
	return []string{
		"accountName", "queueServiceUri", "serviceUri", "connectionString", "credential", "clientId", "tenantId", "clientSecret",
		"managedIdentityClientId", "managedIdentityObjectId", "managedIdentityResourceId",
	}
}

// hostParts are those that only the host reads (ClientFactory of Microsoft.Extensions.Azure).
func hostParts() []string {
	return []string{
		"clientCertificate", "clientCertificateStoreName", "clientCertificateStoreLocation", "additionallyAllowedTenants", "tokenFilePath",
		"azureCloud", "serviceConnectionId", "systemAccessToken",
	}
}

// loadStorageIdentity reads the identity of the settings AzureWebJobsStorage__… (Microsoft Learn, "Guidance for
// developing Azure Functions", common properties for identity-based connections; ClientFactory of
// Microsoft.Extensions.Azure).
func loadStorageIdentity(env *environment, section string) identity.Identity {
	secret := section + "__clientSecret"
	i := identity.Identity{
		Kind:     identity.Kind(env.oneOf(section+"__credential", "", string(identity.Managed), string(identity.Workload))),
		ClientID: env.text(section + "__clientId"), TenantID: env.text(section + "__tenantId"), Secret: strings.TrimSpace(env.raw(secret)),
	}
	var named []string // settings that name a managed identity
	for name, id := range map[string]azidentity.ManagedIDKind{
		"clientId":                  azidentity.ClientID(i.ClientID),
		"managedIdentityClientId":   azidentity.ClientID(env.text(section + "__managedIdentityClientId")),
		"managedIdentityObjectId":   azidentity.ObjectID(env.text(section + "__managedIdentityObjectId")),
		"managedIdentityResourceId": azidentity.ResourceID(env.text(section + "__managedIdentityResourceId")),
	} {
		if id.String() != "" {
			named, i.Managed = append(named, section+"__"+name), id
		}
	}
	slices.Sort(named)
	switch {
	case i.Kind != "" && i.Secret != "":
		env.fail(secret, "must be absent where "+section+"__credential names another kind of identity")
	case i.Secret != "" && (i.TenantID == "" || i.ClientID == ""):
		env.fail(secret, "needs "+section+"__tenantId and "+section+"__clientId beside it")
	case i.Secret != "":
		i.Kind = identity.Application
	case i.Kind != identity.Workload && len(named) > 1:
		env.fail(named[1], "must be absent where "+named[0]+" names the identity")
	case i.Kind == "" && i.Managed != nil:
		i.Kind = identity.Managed // whose, if not a managed identity's?
	}
	return i
}
