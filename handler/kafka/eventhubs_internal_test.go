package kafka

import "testing"

func TestKnowsEventHubs(t *testing.T) {
	t.Parallel()
	for broker, want := range map[string]bool{
		"ns.servicebus.windows.net:9093":         true,
		"NS.ServiceBus.Windows.Net:9093":         true,
		"ns.servicebus.usgovcloudapi.net:9093":   true,
		"ns.servicebus.chinacloudapi.cn:9093":    true,
		"ns.servicebus.windows.net.example:9093": false,
		"servicebus.windows.net.evil.com:9093":   false,
		"kafka-1:9092":                           false,
		"127.0.0.1:9092":                         false,
	} {
		p := newProducer(Config{Brokers: []string{"kafka-0:9092", broker}, Topic: "t"})
		p.letGo()
		if got := p.attemptTimeout == eventHubsAttemptTimeout && p.brokerTimeout == eventHubsBrokerTimeout; got != want {
			t.Errorf("%s: Event Hubs: %v, want %v", broker, got, want)
		}
		if p.brokerTimeout >= p.attemptTimeout {
			t.Errorf("%s: the broker may take %v, an attempt %v", broker, p.brokerTimeout, p.attemptTimeout)
		}
	}
}
