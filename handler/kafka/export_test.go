package kafka

import "time"

// Waiting returns how many records are in queues.
func (p *Producer) Waiting() int {
	d := p.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.parked.len
	for _, b := range d.brokers {
		n += b.queue.len
	}
	return n
}

// Held returns how many records, and of how many bytes, the producer has, in queues and in lanes.
func (p *Producer) Held() (records, size int) {
	p.dispatcher.mu.Lock()
	defer p.dispatcher.mu.Unlock()
	return p.dispatcher.records, p.dispatcher.bytes
}

// NewWithAge is New with another maximum age of connections.
func NewWithAge(c Config, age time.Duration) *Producer {
	p := newProducer(c)
	p.dialer.MaxAge = age
	p.begin()
	return p
}
