package ledger

import (
	"fmt"
	"math/rand/v2"
)

// Keys makes more than 12,000 record keys, the same each time: ids in Auth0's format, text in other scripts, and bytes
// that are not text.
func Keys() [][]byte {
	r := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // G404: the same each time
	keys := [][]byte{
		{},
		{0},
		{0, 0, 0, 0},
		{0xff},
		{0xc0, 0x80},
		{0xed, 0xa0, 0x80},
		[]byte("a"), []byte("ab"), []byte("abc"), []byte("abcd"), []byte("21"), []byte("foobar"),
		[]byte("auth0|ümläut"), []byte("日本語|ユーザー"), []byte("😀"),
	}
	for i := range 4000 {
		keys = append(keys,
			fmt.Appendf(nil, "auth0|%024x", r.Uint64()),
			fmt.Appendf(nil, "google-oauth2|%d", i),
			fmt.Appendf(nil, "oidc|ключ-%d-鍵", i),
		)
	}
	for n := range 4000 {
		key := make([]byte, n%80)
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		keys = append(keys, key)
	}
	return keys
}
