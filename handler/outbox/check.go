package outbox

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
)

// Check does with the queue what the handler and the host do: it creates the queue if it is missing, stores a hidden
// message, deletes it, and peeks at the first message.
func (q *Queue) Check(ctx context.Context) error {
	if err := q.Prepare(ctx); err != nil {
		return err
	}
	// If the delete fails the message is visible for a second before it expires. It is marked as one of a later
	// version of the program, so that it is not poisoned.
	lives, hidden := int32(60), int32(59)
	resp, err := q.messages.EnqueueMessage(ctx, base64.StdEncoding.EncodeToString([]byte(`{"userrelayversion":1000000}`)),
		&azqueue.EnqueueMessageOptions{TimeToLive: &lives, VisibilityTimeout: &hidden})
	if err != nil {
		return wrap("put a message", err)
	}
	if len(resp.Messages) != 1 {
		return &Error{Op: "put a message", Err: errors.New("an answer without the message")}
	}
	m := resp.Messages[0]
	if _, err := q.messages.DeleteMessage(ctx, valueOf(m.MessageID), valueOf(m.PopReceipt), nil); err != nil {
		return wrap("delete a message", err)
	}
	_, err = q.messages.PeekMessage(ctx, nil)
	return wrap("look at the first message", err)
}

// Advice returns a sentence for an operator about how to fix an error of this package.
func Advice(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return "See the error."
	}
	switch e.Code {
	case "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation":
		return "The account does not know the key, signature or token: compare AccountName and AccountKey with the portal (Storage account, Access keys), or the identity's client id."
	case "AuthorizationPermissionMismatch", "AuthorizationFailure", "InsufficientAccountPermissions":
		return "The identity may not do this: give it the role Storage Queue Data Contributor on the account, and look at the account's network rules."
	case "KeyBasedAuthenticationNotPermitted":
		return "The account allows no keys: use the settings AzureWebJobsStorage__accountName, __credential and __clientId instead of a connection string."
	case "NoToken":
		return "No Entra ID token was issued: check AzureWebJobsStorage__credential and __clientId, and whether the identity belongs to the app."
	case "NoConnection", "NoAnswer":
		return "The queue service cannot be reached: look at the account's name and at network rules. On one machine start the emulator (go run ./local -no-host has one), or do without: OUTBOX=off. The Functions host ends with it after half a minute unless AzureWebJobs.DrainOutbox.Disabled is true, or the plan is Flex Consumption."
	case "Timeout":
		return "The queue service did not answer in time: look at network rules."
	case "AccountIsDisabled":
		return "The account is switched off: see the portal."
	default:
		return "See Microsoft's list of Queue Storage error codes."
	}
}
