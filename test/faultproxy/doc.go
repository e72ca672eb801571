// Package faultproxy is a TCP proxy on loopback that breaks connections in chosen ways, for tests.
//
// It knows of Kafka's protocol only how requests and answers are framed (4 bytes of length, then kind, version and
// correlation id), which is enough to act on the n-th request of a kind or on a share of them. TLS hides that; for TLS,
// HTTP and everything else there is [Bytes], where a request is what a client sends until the target answers.
//
// [Proxy.SetFaults] says what goes wrong from now on, also on open connections. [Proxy.CutAll] and [Proxy.CloseIdle]
// end connections at once. [Proxy.Stats] counts.
//
// Bytes that pass are never changed, and an answer is never overtaken by another of its connection. Produce requests
// with acks=0 have no answer: their connection counts as busy until a later request is answered.
package faultproxy
