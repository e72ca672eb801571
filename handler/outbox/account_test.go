package outbox_test

import (
	"strings"
	"testing"

	"userrelay/handler/outbox"
)

const key = "c2VjcmV0" // base64 of "secret"

func TestParseConnectionString(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{
		"as the portal shows it":    "DefaultEndpointsProtocol=https;AccountName=abc;AccountKey=" + key + ";EndpointSuffix=core.windows.net",
		"shortest":                  "AccountName=abc;AccountKey=" + key,
		"with white space":          " AccountName = abc ; AccountKey = " + key + " ; ",
		"in small letters":          "accountname=abc;accountkey=" + key,
		"of another cloud":          "AccountName=abc;AccountKey=" + key + ";EndpointSuffix=core.chinacloudapi.cn",
		"with endpoints":            "AccountName=abc;AccountKey=" + key + ";BlobEndpoint=https://b.example.com;QueueEndpoint=https://q.example.com",
		"of an emulator":            "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=" + key + ";QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;",
		"the emulator":              "UseDevelopmentStorage=true",
		"the emulator, elsewhere":   "UseDevelopmentStorage=True;DevelopmentStorageProxyUri=http://emulator",
		"with a signature":          "QueueEndpoint=https://abc.queue.core.windows.net/;SharedAccessSignature=sv=2021&sig=x%3D",
		"with a signature and name": "AccountName=abc;SharedAccessSignature=?sv=2021&sig=x%3D",
		"with both":                 "AccountName=abc;AccountKey=" + key + ";SharedAccessSignature=sv=2021&sig=x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := outbox.ParseConnectionString(s)
			if err != nil || a.ByIdentity() {
				t.Fatalf("by identity %t, error %v", a.ByIdentity(), err)
			}
			q, err := outbox.New(outbox.Config{Account: a})
			if err != nil {
				t.Fatal(err)
			}
			q.Close()
		})
	}
}

func TestParseConnectionStringRefuses(t *testing.T) {
	t.Parallel()
	const secret = "Pr1vate"
	for name, c := range map[string]struct{ s, rule string }{
		"nothing":                        {"", "AccountKey"},
		"a word":                         {secret, "must be a connection string"},
		"a key alone":                    {"AccountKey=" + key, "AccountName"},
		"a name alone":                   {"AccountName=abc", "AccountKey or SharedAccessSignature"},
		"a name that is none":            {"AccountName=" + secret + "_;AccountKey=" + key, "AccountName"},
		"a key that is no base64":        {"AccountName=abc;AccountKey=" + secret + "!", "AccountKey"},
		"another protocol":               {"AccountName=abc;AccountKey=" + key + ";DefaultEndpointsProtocol=" + secret, "DefaultEndpointsProtocol"},
		"a suffix that is none":          {"AccountName=abc;AccountKey=" + key + ";EndpointSuffix=" + secret + " x", "EndpointSuffix"},
		"an endpoint that is none":       {"AccountName=abc;AccountKey=" + key + ";QueueEndpoint=" + secret, "QueueEndpoint"},
		"an endpoint with a query":       {"QueueEndpoint=https://a.b/?" + secret + ";SharedAccessSignature=sig", "QueueEndpoint"},
		"an endpoint with a password":    {"QueueEndpoint=https://u:" + secret + "@a.b/;SharedAccessSignature=sig", "QueueEndpoint"},
		"a signature to nowhere":         {"SharedAccessSignature=" + secret, "AccountName or QueueEndpoint"},
		"the emulator, or not":           {"UseDevelopmentStorage=" + secret, "UseDevelopmentStorage=true"},
		"the emulator behind no proxy":   {"UseDevelopmentStorage=true;DevelopmentStorageProxyUri=" + secret, "DevelopmentStorageProxyUri"},
		"a connection string of Kafka's": {"Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=" + secret + ";SharedAccessKey=" + key, "AccountKey"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := outbox.ParseConnectionString(c.s)
			if err == nil || !strings.Contains(err.Error(), c.rule) || strings.Contains(err.Error(), secret) {
				t.Errorf("error = %v, want one with %q and without values", err, c.rule)
			}
		})
	}
}

func TestAccountByIdentity(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parse func(string) (outbox.Account, error)
		text  string
		ok    bool
	}{
		"a name":                    {outbox.NamedAccount, "abc123", true},
		"no name":                   {outbox.NamedAccount, "", false},
		"a name with a dot":         {outbox.NamedAccount, "abc.evil", false},
		"a name of 25":              {outbox.NamedAccount, strings.Repeat("a", 25), false},
		"an address":                {outbox.AccountAt, "https://abc.queue.core.windows.net", true},
		"an address, slash":         {outbox.AccountAt, "https://abc.queue.core.windows.net/", true},
		"an address of an emulator": {outbox.AccountAt, "https://127.0.0.1:10001/devstoreaccount1", true},
		"an address unencrypted":    {outbox.AccountAt, "http://abc.queue.core.windows.net", false},
		"no address":                {outbox.AccountAt, "abc.queue.core.windows.net", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := c.parse(c.text)
			if (err == nil) != c.ok || c.ok && !a.ByIdentity() {
				t.Errorf("by identity %t, error %v", a.ByIdentity(), err)
			}
		})
	}
}

func FuzzParseConnectionString(f *testing.F) {
	f.Add("DefaultEndpointsProtocol=https;AccountName=abc;AccountKey=" + key + ";EndpointSuffix=core.windows.net")
	f.Add("QueueEndpoint=https://abc/;SharedAccessSignature=sv=2021&sig=x%3D")
	f.Add("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://[::1]")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := outbox.ParseConnectionString(s)
		if err != nil {
			return
		}
		q, err := outbox.New(outbox.Config{Account: a})
		if err != nil {
			t.Fatalf("%q is read, and cannot be used: %v", s, err)
		}
		q.Close()
	})
}
