package kafka

import "time"

// Waiting returns how many records are in queues.
func (p *Producer) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, q := range p.queues {
		n += q.len
	}
	return n
}

// Held returns how many records, and of how many bytes, the producer has, in queues and in lanes.
func (p *Producer) Held() (records, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.records, p.bytes
}

// NewWithAge is New with another maximum age of connections.
func NewWithAge(c Config, age time.Duration) *Producer {
	p := newProducer(c)
	p.conns.maxAge = age
	p.begin(c)
	return p
}
