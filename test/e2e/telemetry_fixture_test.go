package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/go-json-experiment/json"

	"userrelay/local/portal"
	"userrelay/test/wait"
)

// instrumentationKey names the node that the tests' telemetry belongs to; any GUID does.
const instrumentationKey = "11111111-2222-3333-4444-555555555555"

// page is a telemetry endpoint with a search.
type page struct{ client }

// startTelemetry starts a telemetry endpoint.
func startTelemetry(t *testing.T) page {
	t.Helper()
	p, err := portal.Start(t.Context(), portal.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	server := httptest.NewServer(p.Handler())
	t.Cleanup(server.Close)
	return page{newClient(t, server.URL)}
}

// setting is the handler's.
func (p page) setting() string {
	return "APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=" + instrumentationKey + ";IngestionEndpoint=" + p.base + "/"
}

// item is one telemetry item.
type item struct {
	Tags       map[string]string `json:"tags"`
	Properties map[string]string `json:"properties"`
	Raw        struct {
		Data struct {
			BaseType string `json:"baseType"`
			BaseData struct {
				ID            string `json:"id"`
				Message       string `json:"message"`
				SeverityLevel int    `json:"severityLevel"`
				Name          string `json:"name"`
				Type          string `json:"type"`
				Target        string `json:"target"`
				Success       bool   `json:"success"`
				ResultCode    string `json:"resultCode"`
			} `json:"baseData"`
		} `json:"data"`
	} `json:"raw"`
}

// title returns the text for which people search: the message of a trace, the name of a dependency.
func (i item) title() string { return i.Raw.Data.BaseData.Message + i.Raw.Data.BaseData.Name }

// find searches the endpoint, as /items?name=value does.
func (p page) find(t *testing.T, name, value string) (items []item, text string) {
	t.Helper()
	r := p.call(t, http.MethodGet, "/items?"+url.Values{name: {value}}.Encode(), "")
	if err := json.Unmarshal([]byte(r.body), &items); err != nil {
		t.Fatalf("read %q: %v", r.body, err)
	}
	return items, r.body
}

// wait searches until there are n items.
func (p page) wait(t *testing.T, name, value string, count int) (items []item) {
	t.Helper()
	wait.For(t, "telemetry of "+value, func() bool {
		items, _ = p.find(t, name, value)
		return len(items) >= count
	})
	return items
}

// titled returns the only item with that title.
func titled(t *testing.T, items []item, title string) item {
	t.Helper()
	var found []item
	for _, i := range items {
		if i.title() == title {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d items %q among %+v, want one", len(found), title, items)
	}
	return found[0]
}
