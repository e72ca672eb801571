// Package funchost is a stand-in for the Azure Functions host (v4), for apps with a custom handler. It starts the
// handler of a function app folder, keeps it running and passes it HTTP requests and the messages of Storage queues as
// the real host does, so that the app can be run and tested with only Go installed.
//
// It promises that everything that it implements looks to handlers and callers as on a real host: headers, bodies,
// status codes, keys, restarts, kills and exit codes. The sources are the host's code, release 4.1037.0 (commit
// 89dc438d), and observations of that host; proxy mode, which is newer, follows later sources of the same repository,
// and queues follow the Storage Queues extension 5 (azure-sdk-for-net). At every start it prints what it does not
// implement, see [Start].
package funchost
