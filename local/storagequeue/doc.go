// Package storagequeue is a stand-in of the Azure Queue service (Azure Storage) for one machine, with the operations
// that the handler and the Functions host use: queues and their metadata, put, get, peek, update, delete and clear of
// messages. Answers, error codes and limits are those of Microsoft's REST reference ("Queue Storage REST API"); where the
// reference says nothing, those of Azurite 3.35.
//
// It differs from the service in this:
//
//   - There is one account, devstoreaccount1, with the well-known key. No shared access signatures, access
//     policies, service properties, CORS, statistics or secondary endpoints.
//   - A bearer token's signature and issuer are not checked, only its form, audience and time.
//   - A queue that was deleted can be created again at once.
//   - Visible messages are returned in the order in which they became visible, and those that were visible from the
//     beginning in the order in which they were put. The service promises no order, but mostly uses this one.
//   - Names of metadata are in lower case, as net/http returns them.
package storagequeue
