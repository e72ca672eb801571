package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/local/portal"
	"userrelay/test/must"
	"userrelay/test/wait"
)

// instrumentationKey names the node that the tests' telemetry belongs to; any GUID does.
const instrumentationKey = "11111111-2222-3333-4444-555555555555"

// telemetryAt is the setting for an endpoint.
func telemetryAt(url string) string {
	return "APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=" + instrumentationKey + ";IngestionEndpoint=" + url + "/"
}

// page is a telemetry endpoint with a search.
type page struct{ client }

// startTelemetry starts a telemetry endpoint, and returns the setting for it.
func startTelemetry(t *testing.T) (p page, setting string) {
	t.Helper()
	served := must.Get[*portal.Portal](t)(portal.Start(t.Context(), portal.Config{}))
	t.Cleanup(served.Close)
	server := httptest.NewServer(served.Handler())
	t.Cleanup(server.Close)
	return page{newClient(t, server.URL)}, telemetryAt(server.URL)
}

// item is one telemetry item.
type item struct {
	Tags       map[string]string `json:"tags"`
	Properties map[string]string `json:"properties"`
	Raw        struct {
		Data struct {
			BaseData struct {
				ID      string `json:"id"`
				Message string `json:"message"`
				Name    string `json:"name"`
			} `json:"baseData"`
		} `json:"data"`
	} `json:"raw"`
}

// find searches the endpoint, as /items?name=value does.
func (p page) find(t *testing.T, name, value string) (items []item, text string) {
	t.Helper()
	r := p.call(t, http.MethodGet, "/items?"+url.Values{name: {value}}.Encode(), "")
	if err := json.Unmarshal([]byte(r.body), &items); err != nil {
		t.Fatalf("read %q: %v", r.body, err)
	}
	return items, r.body
}

// wait searches until there are items that fit, and returns them.
func (p page) wait(t *testing.T, name, value, what string, fits func(item) bool) (found []item) {
	t.Helper()
	wait.For(t, what+" in the telemetry of "+value, func() bool {
		items, _ := p.find(t, name, value)
		found = slices.DeleteFunc(items, func(i item) bool { return !fits(i) })
		return len(found) > 0
	})
	return found
}

// titled waits for the only item with a title, for which people search: the message of a trace, the name of a dependency.
func (p page) titled(t *testing.T, name, value, title string) item {
	t.Helper()
	found := p.wait(t, name, value, title, func(i item) bool { return i.Raw.Data.BaseData.Message+i.Raw.Data.BaseData.Name == title })
	if len(found) > 1 {
		t.Errorf("got %d items %q", len(found), title)
	}
	return found[0]
}
