package outbox

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strings"

	"userrelay/handler/setting"
)

// Account is a Storage account and the credential for it.
type Account struct {
	url  string // of its queue service, with a slash at its end
	name string
	key  string // base64; "" if there is another credential
	sas  string // a shared access signature, or ""
}

// The well-known account of the Storage emulators (Microsoft Learn, "Use the Azurite emulator", well-known storage
// account and key).
const (
	developmentName = "devstoreaccount1"
	developmentKey  = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	developmentPort = "10001"
)

// ParseConnectionString reads the value of AzureWebJobsStorage: a connection string with a key or a shared access
// signature, or the emulator's. The error repeats nothing of the string.
func ParseConnectionString(s string) (Account, error) {
	parts, err := split(s)
	if err != nil {
		return Account{}, err
	}
	if parts["usedevelopmentstorage"] != "" {
		return development(parts)
	}
	a := Account{name: parts["accountname"], key: parts["accountkey"], sas: strings.TrimPrefix(parts["sharedaccesssignature"], "?")}
	switch {
	case a.name != "" && !validAccountName(a.name):
		return Account{}, errors.New("must have an AccountName of 3 to 24 lower-case letters and digits")
	case a.key == "" && a.sas == "":
		return Account{}, errors.New("must have AccountKey or SharedAccessSignature; for access by identity use the settings that begin with AzureWebJobsStorage__ instead")
	case a.key != "" && a.name == "":
		return Account{}, errors.New("must have AccountName together with AccountKey")
	case a.key != "":
		if _, err := base64.StdEncoding.DecodeString(a.key); err != nil {
			return Account{}, errors.New("must have an AccountKey in base64, as the portal shows it")
		}
		a.sas = "" // the key permits everything that a signature permits
	}
	switch endpoint := parts["queueendpoint"]; {
	case endpoint != "":
		a.url, err = serviceURL(endpoint, false)
		if err != nil {
			return Account{}, errors.New("must have a QueueEndpoint that is the http or https address of a queue service, or none")
		}
	case a.name == "":
		return Account{}, errors.New("must have AccountName or QueueEndpoint")
	default:
		a.url, err = accountURL(parts["defaultendpointsprotocol"], a.name, parts["endpointsuffix"])
	}
	return a, err
}

// split reads the parts of a connection string. The case of their names does not matter.
func split(s string) (map[string]string, error) {
	parts := map[string]string{}
	for name, value := range setting.Pairs(s) {
		if name == "" {
			return nil, errors.New("must be a connection string: Name=Value, with semicolons between them")
		}
		parts[name] = value
	}
	return parts, nil
}

// development returns the emulator's account, on this machine or at the proxy's address.
func development(parts map[string]string) (Account, error) {
	if !strings.EqualFold(parts["usedevelopmentstorage"], "true") {
		return Account{}, errors.New("must have UseDevelopmentStorage=true, or none")
	}
	host := "127.0.0.1"
	if proxy := parts["developmentstorageproxyuri"]; proxy != "" {
		u, err := setting.URL(proxy)
		if err != nil || u.Scheme != "http" {
			return Account{}, errors.New("must have a DevelopmentStorageProxyUri such as http://127.0.0.1, or none")
		}
		host = u.Hostname()
	}
	return Account{
		url:  "http://" + host + ":" + developmentPort + "/" + developmentName + "/",
		name: developmentName, key: developmentKey,
	}, nil
}

func accountURL(scheme, name, suffix string) (string, error) {
	switch strings.ToLower(scheme) {
	case "", "https":
		scheme = "https"
	case "http":
		scheme = "http"
	default:
		return "", errors.New("must have a DefaultEndpointsProtocol of https or http, or none")
	}
	if suffix == "" {
		suffix = "core.windows.net"
	}
	u, err := serviceURL(scheme+"://"+strings.ToLower(name)+".queue."+suffix, false)
	if err != nil {
		return "", errors.New("must have an EndpointSuffix such as core.windows.net, or none")
	}
	return u, nil
}

// NamedAccount returns the account of that name in Azure's public cloud, with access by identity.
func NamedAccount(name string) (Account, error) {
	if !validAccountName(name) {
		return Account{}, errors.New("must be the name of a Storage account: 3 to 24 lower-case letters and digits")
	}
	u, err := accountURL("", name, "")
	return Account{url: u, name: name}, err
}

// AccountAt returns the account whose queue service has that address, with access by identity.
func AccountAt(address string) (Account, error) {
	u, err := serviceURL(address, true)
	if err != nil {
		return Account{}, errors.New("must be the https address of a queue service, such as https://name.queue.core.windows.net: a token must not be sent unencrypted")
	}
	return Account{url: u}, nil
}

// ByIdentity says that tokens give access to the account.
func (a Account) ByIdentity() bool { return a.key == "" && a.sas == "" }

// validAccountName also accepts upper-case letters, as the host does: the case of names does not matter.
func validAccountName(s string) bool { return regexp.MustCompile(`^[0-9A-Za-z]{3,24}$`).MatchString(s) }

var errScheme = errors.New("no address of https")

// serviceURL returns an address with a slash at its end.
func serviceURL(s string, confidential bool) (string, error) {
	u, err := setting.URL(s)
	if err != nil {
		return "", err
	}
	if u.Scheme != "https" && (confidential || u.Scheme != "http") {
		return "", errScheme
	}
	return strings.TrimSuffix(u.String(), "/") + "/", nil
}
