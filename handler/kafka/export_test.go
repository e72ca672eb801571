package kafka

// Held returns the number of records in queues and lanes, and their size in bytes.
func (p *Producer) Held() (records, size int) {
	p.dispatcher.mu.Lock()
	defer p.dispatcher.mu.Unlock()
	return p.dispatcher.records, p.dispatcher.bytes
}
