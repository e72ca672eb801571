package ingest

import (
	"net/http"
	"net/url"
	"strings"

	"userrelay/handler/setting"
)

const maxHops = 10 // as in Microsoft's exporters

// redirected returns the target of a 307 or 308 for a request to from, or nil if the redirect must not be followed.
//
// Items hold user ids, and the token would be sent as well. So the target must be the endpoint's own host, or a host
// of Azure Monitor with https on the default port (the list and the rules of Azure/azure-sdk-for-java#50117 and
// Azure/azure-sdk-for-net#61244). An endpoint on this machine may redirect to others on this machine.
func redirected(endpoint, from *url.URL, location string) *url.URL {
	target, err := from.Parse(location)
	if err != nil || location == "" || target.User != nil {
		return nil
	}
	host := strings.ToLower(target.Hostname())
	switch {
	case target.Scheme == endpoint.Scheme && strings.EqualFold(target.Host, endpoint.Host),
		target.Scheme == "https" && (target.Port() == "" || target.Port() == "443") && azureMonitor(host),
		confidential(target) && setting.Loopback(host) && setting.Loopback(endpoint.Hostname()):
		return target
	default:
		return nil
	}
}

func azureMonitor(host string) bool {
	for _, domain := range []string{
		".services.visualstudio.com", ".applicationinsights.microsoft.com", // every cloud
		".applicationinsights.azure.com", ".monitor.azure.com",
		".applicationinsights.us", ".applicationinsights.azure.us", ".monitor.azure.us",
		".applicationinsights.azure.cn", ".monitor.azure.cn",
	} {
		if strings.HasSuffix(host, domain) {
			return true
		}
	}
	return false
}

func isRedirect(status int) bool {
	return status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
}
