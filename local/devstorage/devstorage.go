// Package devstorage names the storage account that development tools share.
package devstorage

// The account, its key and the port of its queues. The key is public: it protects nothing, but clients can sign
// requests as usual (Microsoft Learn, "Use the Azurite emulator", well-known storage account and key).
const (
	Account   = "devstoreaccount1"
	Key       = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	QueuePort = "10001"
)
