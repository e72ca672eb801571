package portal

import "testing"

func TestStoreIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	var s store
	raw := make([]byte, maxItem)
	for range keepBytes/maxItem + 7 {
		s.add(&Item{Raw: raw})
	}
	if got, want := s.count(), keepBytes/maxItem; got != want || s.bytes != keepBytes {
		t.Errorf("%d items with %d bytes, want %d with %d", got, s.bytes, want, keepBytes)
	}
	if first := s.items[0].Number; first != 8 {
		t.Errorf("the oldest has number %d, want 8", first)
	}
}
