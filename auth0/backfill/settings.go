package main

import (
	"errors"
	"net"
	neturl "net/url"
	"regexp"
	"strings"

	"userrelay/handler/identity"
	"userrelay/handler/outbox"
	"userrelay/handler/registration"
	"userrelay/local/kafkasettings"
)

// settings are the values of the environment.
type settings struct {
	url    string // of the function, without its key
	key    string
	tenant string

	domain      string // https://…, without a path
	credentials credentials

	kafka  kafkasettings.Settings // for -verify
	outbox *outbox.Config         // for -verify; nil: there is none
}

// credentials are for the Management API: a token, or what gets one.
type credentials struct{ id, secret, token string }

// readSettings reads the settings that the options need. The error lists all mistakes, without values.
func readSettings(env []string, o options) (settings, error) {
	values, raw := map[string]string{}, map[string]string{}
	for _, setting := range env {
		name, value, _ := strings.Cut(setting, "=")
		values[name], raw[name] = pasted(name, value), value
	}
	s := settings{tenant: values["AUTH0_TENANT"]}
	problems := []error{
		when(!registration.ValidTenant(s.tenant), "AUTH0_TENANT: must be the tenant's name, as in event.tenant.id"),
		// With the domain instead of the name every id would differ from the Action's.
		when(strings.HasSuffix(strings.ToLower(s.tenant), ".auth0.com"), "AUTH0_TENANT: must be the tenant's name, as in event.tenant.id, not its domain"),
	}
	if !o.dryRun {
		var err error
		s.url, s.key, err = functionAddress(values["FUNCTION_URL"], values["FUNCTION_KEY"])
		problems = append(problems, err)
	}
	if len(o.files) == 0 {
		var err error
		s.domain, err = apiAddress(values["AUTH0_DOMAIN"])
		s.credentials = credentials{values["AUTH0_CLIENT_ID"], values["AUTH0_CLIENT_SECRET"], withoutBearer(values["AUTH0_TOKEN"])}
		c := s.credentials
		problems = append(problems, err,
			when(c.token == "" && (c.id == "" || c.secret == ""), "AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET, or AUTH0_TOKEN: must be set"))
	}
	if o.verify {
		var kafka, queue error
		text := func(name string) string { return values[name] }
		s.kafka, kafka = kafkasettings.Read(func(name string) string {
			if name == "KAFKA_SASL_PASSWORD" {
				return raw[name] // quotes can be a part of it
			}
			return values[name]
		}, identity.Identity{}.Tokens)
		s.outbox, queue = readOutbox(text, identity.Identity{}.Tokens)
		problems = append(problems, kafka, queue)
	}
	return s, errors.Join(problems...)
}

// functionAddress removes the key from the address, if it has one.
func functionAddress(address, key string) (url, used string, err error) {
	if regexp.MustCompile(`(?i)^[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?/`).MatchString(address) {
		address = "https://" + address
	}
	u, err := neturl.Parse(strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(address)) // as JavaScript's URL does
	if err != nil || !secure(u) || u.User != nil {
		return "", "", errors.New("FUNCTION_URL: must be an address that begins with https://")
	}
	key, query := bareKey(key), u.Query()
	for name, values := range query {
		if strings.EqualFold(name, "code") {
			if key == "" {
				key = bareKey(strings.ReplaceAll(values[0], " ", "+")) // no key has a space: it was a plus
			}
			query.Del(name)
		}
	}
	u.RawQuery, u.Fragment = query.Encode(), ""
	if regexp.MustCompile(`^(##.*##|@@.*@@|_VALUE_NOT_SHOWN_)$`).MatchString(key) {
		return "", "", errors.New("FUNCTION_KEY: is a placeholder of auth0-deploy-cli")
	}
	if !regexp.MustCompile(`^[!-~]*$`).MatchString(key) {
		return "", "", errors.New("FUNCTION_KEY: has characters that no key has")
	}
	return u.String(), key, nil
}

// apiAddress accepts a domain, as in other tools' AUTH0_DOMAIN, or the address of a stand-in.
func apiAddress(domain string) (string, error) {
	if !strings.Contains(domain, "://") {
		domain = "https://" + domain
	}
	u, err := neturl.Parse(strings.TrimSuffix(domain, "/"))
	if err != nil || !secure(u) || u.User != nil || u.Path != "" || u.RawQuery != "" {
		return "", errors.New("AUTH0_DOMAIN: must be the tenant's domain, such as acme.eu.auth0.com")
	}
	return u.String(), nil
}

// secure says whether secrets may be sent to an address: https, or this machine.
func secure(u *neturl.URL) bool {
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http" && local)
}
