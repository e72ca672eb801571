// Package funchost is a stand-in of the Azure Functions host (v4) for apps with a custom handler.
// It starts the handler of a function app folder, keeps it running and hands it HTTP requests and the
// messages of Storage queues as the real host does, so that the app can be tried and tested with nothing but Go.
//
// It promises that what a handler or a caller sees here is what they would see on a real host, wherever
// this package does a thing at all: headers, bodies, status codes, keys, restarts, kills and exit codes.
// The source for each is the host's code, release 4.1037.0 (commit 89dc438d), and what was observed on
// such a host while it ran; proxy mode, which is newer, follows later sources of the same repository, and
// queues follow the Storage Queues extension 5 (azure-sdk-for-net).
// What it does not do it names at every start, see [Start].
package funchost
