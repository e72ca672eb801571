package e2e_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kfake"

	"userrelay/handler/outbox"
	"userrelay/local/portal"
	"userrelay/local/realkafka"
	"userrelay/local/storagequeue"
	"userrelay/test/faultproxy"
	"userrelay/test/must"
	"userrelay/test/queuetest"
	"userrelay/test/wait"
)

const topic = "user-events" // the setting's default

// broker is a Kafka broker in this process, behind a proxy that breaks connections.
type broker struct{ *faultproxy.Proxy }

// startBroker starts a broker with the topic.
func startBroker(t *testing.T, options ...kfake.Opt) broker {
	t.Helper()
	proxy := faultproxy.ForTest(t)
	cluster := must.Get[*kfake.Cluster](t)(kfake.NewCluster(slices.Concat([]kfake.Opt{
		kfake.NumBrokers(1), kfake.SeedTopics(4, topic),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), network, address)
			if err != nil {
				return nil, err
			}
			proxy.SetTarget(listener.Addr().String())
			return behind{listener, proxy}, nil
		}),
	}, options)...))
	t.Cleanup(cluster.Close)
	return broker{proxy}
}

// behind is a listener whose address is that of the proxy in front, which the broker advertises to clients.
type behind struct {
	net.Listener
	front *faultproxy.Proxy
}

func (b behind) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(b.front.Addr()))
}

// setting is the handler's.
func (b broker) setting() string { return "KAFKA_BROKERS=" + b.Addr() }

// records reads the topic.
func (b broker) records(t *testing.T) []realkafka.Record {
	t.Helper()
	return readTopic(t, b.Addr())
}

// readTopic reads the whole topic with an independent client.
func readTopic(t *testing.T, brokers string) []realkafka.Record {
	t.Helper()
	return must.Get[[]realkafka.Record](t)(realkafka.Read(t.Context(), []string{brokers}, topic))
}

// at returns the record at an answer's place.
func at(t *testing.T, records []realkafka.Record, a answer) *realkafka.Record {
	t.Helper()
	i := slices.IndexFunc(records, func(r realkafka.Record) bool { return r.Partition == a.Partition && r.Offset == a.Offset })
	if i < 0 {
		t.Fatalf("no record at the place of %+v", a)
	}
	if r := &records[i]; r.Timestamp.UnixMilli() != a.Timestamp || r.Header("ce_id") != a.EventID {
		t.Errorf("the answer is %+v, the record %+v", a, r)
	}
	return &records[i]
}

// recordsOf returns the records of a user.
func recordsOf(records []realkafka.Record, userID string) []realkafka.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r realkafka.Record) bool { return string(r.Key) != userID })
}

// startQueues starts the queues of a storage account, and returns the setting for them.
func startQueues(t *testing.T) (s *storagequeue.Server, setting string) {
	t.Helper()
	s = queuetest.Start(t, storagequeue.Config{})
	return s, "AzureWebJobsStorage=" + s.ConnectionString()
}

// waitDrained waits until the outbox is empty.
func waitDrained(t *testing.T, connection string) {
	t.Helper()
	queue := queuetest.Open(t, connection, outbox.QueueName)
	wait.For(t, "the outbox is empty", func() bool { return queuetest.Count(t, queue) == 0 })
}

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
