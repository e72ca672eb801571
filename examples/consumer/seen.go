package main

// remembered is how many registrations a process knows. At 10 a second that is more than two hours; each takes some 150 bytes.
const remembered = 100_000

// seen knows the newest registrations, so that copies are dropped.
//
// It is gone when the process ends, and another process of the group has its own: what must hold over restarts needs a store.
// A database does it with a unique index over source and id, and `insert … on conflict do nothing`.
type seen struct {
	known map[identity]struct{}
	order []identity // a ring: the next to be forgotten is at next
	next  int
}

// identity names a registration. An event id is good for one source only.
type identity struct{ source, id string }

func newSeen(most int) *seen {
	return &seen{known: map[identity]struct{}{}, order: make([]identity, most)}
}

func (s *seen) has(r Registration) bool {
	_, ok := s.known[identity{r.Source, r.ID}]
	return ok
}

func (s *seen) add(r Registration) {
	i := identity{r.Source, r.ID}
	delete(s.known, s.order[s.next])
	s.known[i], s.order[s.next] = struct{}{}, i
	s.next = (s.next + 1) % len(s.order)
}
