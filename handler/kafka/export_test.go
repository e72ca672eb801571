package kafka

import "time"

// Waiting returns the number of records in queues.
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

// Held returns the number of records in queues and lanes, and their size in bytes.
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
