package identity

import "time"

// Jump sets the wall clock of Tokens forward, as the sleep of a machine does; the monotonic clock does not change.
func (c *Tokens) Jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.now
	c.now = func() time.Time { return before().Add(d) }
}
