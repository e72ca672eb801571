package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/outbox"
)

// The account is the one that the host reads the queue of, whatever else is set.
func TestStorageAccount(t *testing.T) {
	t.Parallel()
	account := func(parse func(string) (outbox.Account, error), text string) outbox.Account {
		a, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	const connection, other = "AccountName=abc;AccountKey=c2VjcmV0", "AccountName=xyz;AccountKey=c2VjcmV0"
	byKey := account(outbox.ParseConnectionString, connection)
	byName := account(outbox.NamedAccount, "abc")
	for name, c := range map[string]struct {
		env  []string
		want outbox.Account
	}{
		"a connection string":         {[]string{"AzureWebJobsStorage=" + connection}, byKey},
		"before an identity":          {[]string{"AzureWebJobsStorage=" + connection, "AzureWebJobsStorage__accountName=xyz"}, byKey},
		"among connection strings":    {[]string{"AzureWebJobsStorage=" + other, "ConnectionStrings__AzureWebJobsStorage=" + connection}, byKey},
		"as App Service has them":     {[]string{"AzureWebJobsStorage=" + other, "CUSTOMCONNSTR_AzureWebJobsStorage=" + connection}, byKey},
		"a name":                      {[]string{"AzureWebJobsStorage__accountName=abc"}, byName},
		"a name before an address":    {[]string{"AzureWebJobsStorage__accountName=abc", "AzureWebJobsStorage__queueServiceUri=https://xyz.queue.core.windows.net"}, byName},
		"a name in other letters":     {[]string{"azurewebjobsstorage__ACCOUNTNAME=abc"}, byName},
		"the exact name before those": {[]string{"AzureWebJobsStorage__accountName=abc", "azurewebjobsstorage__ACCOUNTNAME=xyz"}, byName},
		"an empty connection string":  {[]string{"AzureWebJobsStorage=", "AzureWebJobsStorage__accountName=abc"}, byName},
		"an address": {
			[]string{"AzureWebJobsStorage__queueServiceUri=https://abc.queue.core.chinacloudapi.cn"},
			account(outbox.AccountAt, "https://abc.queue.core.chinacloudapi.cn/"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(lookup(append([]string{"KAFKA_BROKERS=127.0.0.1:9"}, c.env...)), false)
			if err != nil {
				t.Fatal(err)
			}
			if s.Outbox.Account != c.want {
				t.Error("it is another account")
			}
		})
	}
}

// The identity is the one that the host uses.
func TestStorageIdentity(t *testing.T) {
	t.Parallel()
	const prefix = "AzureWebJobsStorage__"
	for name, c := range map[string]struct {
		env   []string
		kind  string
		id    string // of the managed identity
		wrong configError
	}{
		"none":                        {nil, "", "", nil},
		"the app's own":               {[]string{"credential=managedidentity"}, managedIdentity, "", nil},
		"by client id":                {[]string{"credential=ManagedIdentity", "clientId=c"}, managedIdentity, "c", nil},
		"by client id, nothing else":  {[]string{"clientId=c"}, managedIdentity, "c", nil},
		"by another name of it":       {[]string{"managedIdentityClientId=c"}, managedIdentity, "c", nil},
		"by object id":                {[]string{"credential=managedidentity", "managedIdentityObjectId=o"}, managedIdentity, "o", nil},
		"by resource id":              {[]string{"managedIdentityResourceId=/subscriptions/s"}, managedIdentity, "/subscriptions/s", nil},
		"a workload's":                {[]string{"credential=workloadidentity", "clientId=c", "tenantId=t"}, workloadIdentity, "c", nil},
		"an application":              {[]string{"tenantId=t", "clientId=c", "clientSecret=s"}, "", "c", nil},
		"an application, half":        {[]string{"clientSecret=s"}, "", "", configError{prefix + "clientSecret: needs AzureWebJobsStorage__tenantId and AzureWebJobsStorage__clientId beside it"}},
		"an application, and another": {[]string{"credential=managedidentity", "tenantId=t", "clientId=c", "clientSecret=s"}, "", "", configError{prefix + "clientSecret: must be absent where AzureWebJobsStorage__credential names another kind of identity"}},
		"two at once":                 {[]string{"clientId=c", "managedIdentityObjectId=o"}, "", "", configError{prefix + "managedIdentityObjectId: must be absent where AzureWebJobsStorage__clientId names the identity"}},
		"a kind that is not known":    {[]string{"credential=managedidentityasfederatedidentity"}, "", "", configError{prefix + "credential: must be one of managedidentity, workloadidentity"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"KAFKA_BROKERS=127.0.0.1:9", prefix + "accountName=abc"}
			for _, setting := range c.env {
				env = append(env, prefix+setting)
			}
			s, err := load(lookup(env), false)
			wrong, _ := errors.AsType[configError](err)
			if diff := cmp.Diff(c.wrong, wrong); diff != "" {
				t.Fatalf("wrong (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			id := ""
			if s.Outbox.Identity.managed != nil {
				id = s.Outbox.Identity.managed.String()
			}
			if s.Outbox.Identity.kind != c.kind || id != c.id {
				t.Errorf("identity %q %q, want %q %q", s.Outbox.Identity.kind, id, c.kind, c.id)
			}
		})
	}
}
