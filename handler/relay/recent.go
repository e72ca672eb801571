package relay

import (
	"sync"
	"time"
)

// recent remembers the newest values for a time.
type recent[K comparable, V any] struct {
	most  int
	lasts time.Duration

	mu    sync.Mutex
	byKey map[K]*remembered[K, V]
	order []*remembered[K, V] // by time; those that were forgotten early among them
}

type remembered[K comparable, V any] struct {
	key   K
	value V
	at    time.Time
}

func newRecent[K comparable, V any](most int, lasts time.Duration) *recent[K, V] {
	return &recent[K, V]{most: most, lasts: lasts, byKey: map[K]*remembered[K, V]{}}
}

// add remembers a value. If the key has one already it returns false.
func (r *recent[K, V]) add(key K, value V) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune(r.most - 1)
	if r.byKey[key] != nil {
		return false
	}
	e := &remembered[K, V]{key: key, value: value, at: time.Now()}
	r.byKey[key], r.order = e, append(r.order, e)
	return true
}

// set remembers a value, and replaces an earlier one of the key.
func (r *recent[K, V]) set(key K, value V) {
	r.forget(key)
	r.add(key, value)
}

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune(r.most)
	if e := r.byKey[key]; e != nil {
		return e.value, true
	}
	return value, false
}

func (r *recent[K, V]) forget(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byKey, key)
}

// prune removes values that are too old, and the oldest above the limit. r.mu is held.
func (r *recent[K, V]) prune(most int) {
	now := time.Now()
	for len(r.order) > 0 && (len(r.order) > most || now.Sub(r.order[0].at) >= r.lasts) {
		if e := r.order[0]; r.byKey[e.key] == e {
			delete(r.byKey, e.key)
		}
		r.order[0] = nil
		r.order = r.order[1:]
	}
}
