package outbox_test

import (
	"strings"
	"testing"

	"userrelay/handler/outbox"
)

const key = "c2VjcmV0" // base64 of "secret"

const secret = "Pr1vate"

func TestParseConnectionString(t *testing.T) {
	t.Parallel()
	const named = "AccountName=abc;AccountKey=" + key
	for s, refused := range map[string]string{ // by what the error names; "" accepted
		"DefaultEndpointsProtocol=https;" + named + ";EndpointSuffix=core.windows.net": "",
		named: "",
		" AccountName = abc ; AccountKey = " + key + " ; ":                                         "",
		"accountname=abc;accountkey=" + key:                                                        "",
		named + ";EndpointSuffix=core.chinacloudapi.cn":                                            "",
		named + ";BlobEndpoint=https://b.example.com;QueueEndpoint=https://q.example.com":          "",
		"DefaultEndpointsProtocol=http;" + named + ";QueueEndpoint=http://127.0.0.1:1/abc;":        "",
		"UseDevelopmentStorage=true":                                                               "",
		"UseDevelopmentStorage=True;DevelopmentStorageProxyUri=http://emulator":                    "",
		"QueueEndpoint=https://abc.queue.core.windows.net/;SharedAccessSignature=sv=2021&sig=x%3D": "",
		"AccountName=abc;SharedAccessSignature=?sv=2021&sig=x%3D":                                  "",
		named + ";SharedAccessSignature=sv=2021&sig=x":                                             "",

		"":                  "AccountKey",
		secret:              "must be a connection string",
		"AccountKey=" + key: "AccountName",
		"AccountName=abc":   "AccountKey or SharedAccessSignature",
		"AccountName=" + secret + "_;AccountKey=" + key:                                                      "AccountName",
		"AccountName=abc;AccountKey=" + secret + "!":                                                         "AccountKey",
		named + ";DefaultEndpointsProtocol=" + secret:                                                        "DefaultEndpointsProtocol",
		named + ";EndpointSuffix=" + secret + " x":                                                           "EndpointSuffix",
		named + ";QueueEndpoint=" + secret:                                                                   "QueueEndpoint",
		"QueueEndpoint=https://a.b/?" + secret + ";SharedAccessSignature=sig":                                "QueueEndpoint",
		"QueueEndpoint=https://u:" + secret + "@a.b/;SharedAccessSignature=sig":                              "QueueEndpoint",
		"SharedAccessSignature=" + secret:                                                                    "AccountName or QueueEndpoint",
		"UseDevelopmentStorage=" + secret:                                                                    "UseDevelopmentStorage=true",
		"UseDevelopmentStorage=true;DevelopmentStorageProxyUri=" + secret:                                    "DevelopmentStorageProxyUri",
		"Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=" + secret + ";SharedAccessKey=" + key: "AccountKey",
	} {
		a, err := outbox.ParseConnectionString(s)
		switch {
		case refused != "":
			if err == nil || !strings.Contains(err.Error(), refused) || strings.Contains(err.Error(), secret) {
				t.Errorf("%q: error = %v, want one with %q and without values", s, err, refused)
			}
		case err != nil || a.ByIdentity():
			t.Errorf("%q: by identity %t, error %v", s, a.ByIdentity(), err)
		default:
			newQueue(t, outbox.Config{Account: a})
		}
	}
}

func TestAccountByIdentity(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"abc123": true, "": false, "abc.evil": false, strings.Repeat("a", 25): false} {
		if a, err := outbox.NamedAccount(text); (err == nil) != ok || ok && !a.ByIdentity() {
			t.Errorf("the name %q: by identity %t, error %v", text, a.ByIdentity(), err)
		}
	}
	for text, ok := range map[string]bool{
		"https://abc.queue.core.windows.net": true, "https://abc.queue.core.windows.net/": true, "https://127.0.0.1:10001/devstoreaccount1": true,
		"http://abc.queue.core.windows.net": false, "abc.queue.core.windows.net": false,
	} {
		if a, err := outbox.AccountAt(text); (err == nil) != ok || ok && !a.ByIdentity() {
			t.Errorf("the address %q: by identity %t, error %v", text, a.ByIdentity(), err)
		}
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
