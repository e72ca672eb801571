package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/identity"
	"userrelay/handler/outbox"
)

// The account is the one whose queue the host reads, whatever else is set.
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
		"with colons":                 {[]string{"AzureWebJobsStorage:accountName=abc"}, byName},
		"an address, for any service": {[]string{"AzureWebJobsStorage__serviceUri=https://abc.queue.core.windows.net", "AzureWebJobsStorage__blobServiceUri=https://xyz.blob.core.windows.net"}, account(outbox.AccountAt, "https://abc.queue.core.windows.net/")},
		"the queues' before any":      {[]string{"AzureWebJobsStorage__serviceUri=https://xyz.example.com", "AzureWebJobsStorage:queueServiceUri=https://abc.queue.core.windows.net"}, account(outbox.AccountAt, "https://abc.queue.core.windows.net/")},
		"a string in the section":     {[]string{"AzureWebJobsStorage__connectionString=" + connection}, byKey},
		"the prefixed name first":     {[]string{"AzureWebJobsStorage=" + other, "AzureWebJobsAzureWebJobsStorage__accountName=abc"}, byName},
		"from local.settings.json":    {[]string{"ConnectionStrings:AzureWebJobsStorage=" + connection}, byKey},
		"an empty connection string":  {[]string{"AzureWebJobsStorage=", "AzureWebJobsStorage__accountName=abc"}, byName},
		"an address": {
			[]string{"AzureWebJobsStorage__queueServiceUri=https://abc.queue.core.chinacloudapi.cn"},
			account(outbox.AccountAt, "https://abc.queue.core.chinacloudapi.cn/"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := load(variablesOf(append([]string{"KAFKA_BROKERS=127.0.0.1:9"}, c.env...)), toCheck)
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
		kind  identity.Kind
		id    string // of the managed identity
		wrong configError
	}{
		"none":                        {nil, "", "", nil},
		"the app's own":               {[]string{"credential=managedidentity"}, identity.Managed, "", nil},
		"by client id":                {[]string{"credential=ManagedIdentity", "clientId=c"}, identity.Managed, "c", nil},
		"by client id, nothing else":  {[]string{"clientId=c"}, identity.Managed, "c", nil},
		"by another name of it":       {[]string{"managedIdentityClientId=c"}, identity.Managed, "c", nil},
		"by object id":                {[]string{"credential=managedidentity", "managedIdentityObjectId=o"}, identity.Managed, "o", nil},
		"by resource id":              {[]string{"managedIdentityResourceId=/subscriptions/s"}, identity.Managed, "/subscriptions/s", nil},
		"a workload's":                {[]string{"credential=workloadidentity", "clientId=c", "tenantId=t"}, identity.Workload, "c", nil},
		"an application":              {[]string{"tenantId=t", "clientId=c", "clientSecret=s"}, identity.Application, "c", nil},
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
			s, err := load(variablesOf(env), toCheck)
			wrong, _ := errors.AsType[configError](err)
			if diff := cmp.Diff(c.wrong, wrong); diff != "" {
				t.Fatalf("wrong (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			id := ""
			if s.Outbox.Identity.Managed != nil {
				id = s.Outbox.Identity.Managed.String()
			}
			if s.Outbox.Identity.Kind != c.kind || id != c.id {
				t.Errorf("identity %q %q, want %q %q", s.Outbox.Identity.Kind, id, c.kind, c.id)
			}
		})
	}
}

// The warning names settings of the account that are not read, except those that only the host reads.
func TestStorageWarnings(t *testing.T) {
	t.Parallel()
	const p = "AzureWebJobsStorage"
	const connection, name = p + "=AccountName=abc;AccountKey=c2VjcmV0", p + "__accountName=abc"
	for text, c := range map[string]struct {
		env  []string
		want []string
	}{
		"nothing":              {[]string{name, p + "__credential=managedidentity", p + "__clientId=c", p + "__blobServiceUri=https://b"}, nil},
		"an empty string":      {[]string{p + "=", name}, []string{p + ": is set but empty: the Functions host reads even that as a connection string. Remove it"}},
		"a name and a string":  {[]string{connection, name}, []string{p + "__accountName: is not read: " + p + " comes before it"}},
		"two strings":          {[]string{connection, "ConnectionStrings__" + connection}, []string{p + ": is not read: ConnectionStrings__" + p + " comes before it"}},
		"a name and an URI":    {[]string{name, p + "__queueServiceUri=https://q"}, []string{p + "__queueServiceUri: is not read: " + p + "__accountName comes before it"}},
		"a typing mistake":     {[]string{name, p + "__clientID_=c"}, []string{p + "__clientID_: is not read: is " + p + "__clientId meant?"}},
		"with a colon":         {[]string{name, p + ":credentail=c"}, []string{p + ":credentail: is not read: is " + p + "__credential meant?"}},
		"something else":       {[]string{name, p + "__endpoint=e"}, []string{p + "__endpoint: is not read"}},
		"a certificate's":      {[]string{name, p + "__clientCertificate=c"}, []string{p + "__clientCertificate: is read by the Functions host only: the handler cannot log in this way"}},
		"two names, two cases": {[]string{name, "azurewebjobsstorage:accountname=xyz"}, []string{p + "__accountName: is set more than once, as " + p + "__accountName and azurewebjobsstorage:accountname, with different values: keep one"}},
		"another setting":      {[]string{name, p + "Account=c"}, nil},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s, err := load(variablesOf(append([]string{"KAFKA_BROKERS=127.0.0.1:9"}, c.env...)), toCheck)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, s.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// A mistake about the account is reported without errors that follow from it.
func TestStorageMistakes(t *testing.T) {
	t.Parallel()
	const p = "AzureWebJobsStorage"
	for text, c := range map[string]struct {
		env      []string
		wrong    string
		warnings int
	}{
		"nothing":                    {nil, p + ": is missing", 0},
		"neither on nor off":         {[]string{"OUTBOX=v4lue"}, "OUTBOX: ", 0},
		"the blobs' address":         {[]string{p + "__blobServiceUri=https://v4lue"}, p + ": is missing", 1},
		"a string in quotes":         {[]string{p + `="AccountName=v4lue;AccountKey=c2VjcmV0"`}, p + ": is in quotes, which are read as part of the value: remove them", 0},
		"a string in single quotes":  {[]string{p + "='AccountName=v4lue;AccountKey=c2VjcmV0'"}, p + ": is in quotes, which are read as part of the value: remove them", 0},
		"quotes inside":              {[]string{p + `=AccountName="v4lue";AccountKey=c2VjcmV0`}, p + ": must have an AccountName", 0},
		"an address unencrypted":     {[]string{p + "__serviceUri=http://v4lue"}, p + "__serviceUri: must be the https address", 0},
		"a name in the wrong place":  {[]string{p + "=v4lue"}, p + ": must be a connection string", 0},
		"a reference, another given": {[]string{p + "=@Microsoft.KeyVault(v4lue)", p + "__accountName=abc"}, p + ": is a Key Vault reference", 0},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			s, err := load(variablesOf(append([]string{"KAFKA_BROKERS=127.0.0.1:9"}, c.env...)), toCheck)
			wrong, _ := errors.AsType[configError](err)
			if len(wrong) != 1 || !strings.HasPrefix(wrong[0], c.wrong) || strings.Contains(wrong[0], "v4lue") || len(s.Warnings) != c.warnings {
				t.Errorf("got %q and the warnings %q, want %q alone and %d warnings", wrong, s.Warnings, c.wrong, c.warnings)
			}
		})
	}
}
