package main

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"userrelay/handler/identity"
	"userrelay/handler/outbox"
	"userrelay/test/must"
)

// The account is the one whose queue the host reads, whatever else is set.
func TestStorageAccount(t *testing.T) {
	t.Parallel()
	account := must.Get[outbox.Account](t)
	const p, queues = storage, "https://abc.queue.core.windows.net"
	const connection, other = "AccountName=abc;AccountKey=c2VjcmV0", "AccountName=xyz;AccountKey=c2VjcmV0"
	byKey, byName := account(outbox.ParseConnectionString(connection)), account(outbox.NamedAccount("abc"))
	byURL := account(outbox.AccountAt(queues + "/"))
	for name, c := range map[string]struct {
		env  []string
		want outbox.Account
	}{
		"a connection string":         {[]string{p + "=" + connection}, byKey},
		"before an identity":          {[]string{p + "=" + connection, p + "__accountName=xyz"}, byKey},
		"among connection strings":    {[]string{p + "=" + other, "ConnectionStrings__AzureWebJobsStorage=" + connection}, byKey},
		"as App Service has them":     {[]string{p + "=" + other, "CUSTOMCONNSTR_AzureWebJobsStorage=" + connection}, byKey},
		"a name":                      {[]string{p + "__accountName=abc"}, byName},
		"a name before an address":    {[]string{p + "__accountName=abc", p + "__queueServiceUri=https://xyz.queue.core.windows.net"}, byName},
		"a name in other letters":     {[]string{"azurewebjobsstorage__ACCOUNTNAME=abc"}, byName},
		"the exact name before those": {[]string{p + "__accountName=abc", "azurewebjobsstorage__ACCOUNTNAME=xyz"}, byName},
		"with colons":                 {[]string{p + ":accountName=abc"}, byName},
		"an address, for any service": {[]string{p + "__serviceUri=" + queues, p + "__blobServiceUri=https://xyz.blob.core.windows.net"}, byURL},
		"the queues' before any":      {[]string{p + "__serviceUri=https://xyz.example.com", p + ":queueServiceUri=" + queues}, byURL},
		"a string in the section":     {[]string{p + "__connectionString=" + connection}, byKey},
		"the prefixed name first":     {[]string{p + "=" + other, "AzureWebJobsAzureWebJobsStorage__accountName=abc"}, byName},
		"from local.settings.json":    {[]string{"ConnectionStrings:AzureWebJobsStorage=" + connection}, byKey},
		"an empty connection string":  {[]string{p + "=", p + "__accountName=abc"}, byName},
		"an address":                  {[]string{p + "__queueServiceUri=https://abc.queue.core.chinacloudapi.cn"}, account(outbox.AccountAt("https://abc.queue.core.chinacloudapi.cn/"))},
	} {
		s, err := load(variablesOf(append(c.env, "KAFKA_BROKERS=127.0.0.1:9")), toCheck)
		if err != nil || s.Outbox.Account != c.want {
			t.Errorf("%s: error %v, or it is another account", name, err)
		}
	}
}

// The identity is the one that the host uses.
func TestStorageIdentity(t *testing.T) {
	t.Parallel()
	const prefix = "AzureWebJobsStorage__"
	for name, c := range map[string]struct {
		env   []string
		kind  identity.Kind
		id    azidentity.ManagedIDKind
		wrong []string
	}{
		"none":                       {nil, "", nil, nil},
		"the app's own":              {[]string{"credential=managedidentity"}, identity.Managed, nil, nil},
		"by client id":               {[]string{"credential=ManagedIdentity", "clientId=c"}, identity.Managed, azidentity.ClientID("c"), nil},
		"by client id, nothing else": {[]string{"clientId=c"}, identity.Managed, azidentity.ClientID("c"), nil},
		"by another name of it":      {[]string{"managedIdentityClientId=c"}, identity.Managed, azidentity.ClientID("c"), nil},
		"by object id":               {[]string{"credential=managedidentity", "managedIdentityObjectId=o"}, identity.Managed, azidentity.ObjectID("o"), nil},
		"by resource id":             {[]string{"managedIdentityResourceId=/subscriptions/s"}, identity.Managed, azidentity.ResourceID("/subscriptions/s"), nil},
		"a workload's":               {[]string{"credential=workloadidentity", "clientId=c", "tenantId=t"}, identity.Workload, azidentity.ClientID("c"), nil},
		"an application":             {[]string{"tenantId=t", "clientId=c", "clientSecret=s"}, identity.Application, azidentity.ClientID("c"), nil},
		"an application, half": {[]string{"clientSecret=s"}, "", nil, []string{
			prefix + "clientSecret: needs " + prefix + "tenantId and " + prefix + "clientId beside it",
		}},
		"an application, and another": {[]string{"credential=managedidentity", "tenantId=t", "clientId=c", "clientSecret=s"}, "", nil, []string{
			prefix + "clientSecret: must be absent where " + prefix + "credential names another kind of identity",
		}},
		"two at once": {[]string{"clientId=c", "managedIdentityObjectId=o"}, "", nil, []string{
			prefix + "managedIdentityObjectId: must be absent where " + prefix + "clientId names the identity",
		}},
		"a kind that is not known": {[]string{"credential=managedidentityasfederatedidentity"}, "", nil, []string{
			prefix + "credential: must be one of managedidentity, workloadidentity",
		}},
	} {
		env := []string{prefix + "accountName=abc"}
		for _, setting := range c.env {
			env = append(env, prefix+setting)
		}
		s := wantLoad(t, env, c.wrong, nil)
		if c.wrong != nil {
			continue
		}
		if i := s.Outbox.Identity; i.Kind != c.kind || i.Managed != c.id {
			t.Errorf("%s: identity %q %v, want %q %v", name, i.Kind, i.Managed, c.kind, c.id)
		}
	}
}
