// Package faultproxy is a TCP proxy on loopback that breaks connections in chosen ways, for tests.
//
// Of Kafka's protocol it knows only the framing of requests and answers (4 bytes of length, then kind, version and
// correlation id), which is enough to act on the n-th request of a kind or on a share of them. TLS hides the framing;
// for TLS, HTTP and everything else use [Bytes], where a request is all data from a client until the target answers.
//
// [Proxy.SetFaults] sets the faults from now on, also for open connections. [Proxy.CutAll] and [Proxy.CloseIdle] end
// connections at once. [Proxy.Stats] counts.
//
// The proxy never changes bytes, and keeps the order of a connection's answers. Produce requests with acks=0 have no
// answer: their connection counts as busy until a later request is answered.
package faultproxy
