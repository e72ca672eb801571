package storagequeue

import (
	"encoding/xml"
	"errors"
	"net/http"

	"userrelay/local/storagequeue/internal/store"
)

// serviceError is an error answer of the service: a status, a code for clients, and a text. It never holds credentials
// of a request or a part of a message.
type serviceError struct {
	status    int
	code      string
	text      string
	parameter parameter
}

// parameter is a wrong query parameter, and the valid values.
type parameter struct{ name, value, minimum, maximum, reason string }

func (e *serviceError) Error() string { return e.code + ": " + e.text }

// wrong returns the error with its parameter.
func (e *serviceError) wrong(p parameter) *serviceError {
	return &serviceError{e.status, e.code, e.text, p}
}

func badRequest(code, text string) *serviceError {
	return &serviceError{status: http.StatusBadRequest, code: code, text: text}
}

func otherError(status int, code, text string) *serviceError {
	return &serviceError{status: status, code: code, text: text}
}

// The errors, from the reference's pages "Common REST API error codes" and "Queue Storage error codes".
var (
	errNoAuthentication = otherError(http.StatusUnauthorized, "NoAuthenticationInformation",
		"Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
	errAuthentication = otherError(http.StatusForbidden, "AuthenticationFailed",
		"Server failed to authenticate the request. Make sure the value of the Authorization header is formed correctly including the signature.")
	errAuthenticationForm = badRequest("InvalidAuthenticationInfo",
		"The authentication information was not provided in the correct format. Verify the value of the Authorization header.")

	errHeaderMissing = badRequest("MissingRequiredHeader", "An HTTP header that is mandatory for this request is not specified.")
	errHeaderValue   = badRequest("InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.")
	errLengthMissing = otherError(http.StatusLengthRequired, "MissingContentLengthHeader", "The Content-Length header was not specified.")
	errVerb          = otherError(http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "The resource doesn't support the specified HTTP verb.")
	errURL           = badRequest("RequestUrlFailedToParse", "The url in the request could not be parsed.")
	errURI           = badRequest("InvalidUri", "The requested URI does not represent any resource on the server.")

	errParameterMissing = badRequest("MissingRequiredQueryParameter", "A query parameter that is mandatory for this request is not specified.")
	errParameterUnknown = badRequest("UnsupportedQueryParameter", "One of the query parameters specified in the request URI is not supported.")
	errParameterValue   = badRequest("InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid.")
	errParameterRange   = badRequest("OutOfRangeQueryParameterValue",
		"One of the query parameters specified in the request URI is outside the permissible range.")

	errXML         = badRequest("InvalidXmlDocument", "XML specified is not syntactically valid.")
	errXMLMissing  = badRequest("MissingRequiredXmlNode", "An XML node that is mandatory for this request is not specified.")
	errBodyTooLong = otherError(http.StatusRequestEntityTooLarge, "RequestBodyTooLarge",
		"The request body is too large and exceeds the maximum permissible limit.")

	errMetadataName    = badRequest("EmptyMetadataKey", "The key for one of the metadata key-value pairs is empty.")
	errMetadata        = badRequest("InvalidMetadata", "The metadata specified is invalid. It has characters that are not permitted.")
	errMetadataTooLong = badRequest("MetadataTooLarge", "The metadata specified exceeds the maximum permissible limit.")

	errName            = badRequest("InvalidResourceName", "The specified resource name contains invalid characters.")
	errNameLength      = badRequest("OutOfRangeInput", "The specified resource name length is not within the permissible limits.")
	errAccount         = otherError(http.StatusNotFound, "ResourceNotFound", "The specified resource does not exist.")
	errQueueNotFound   = otherError(http.StatusNotFound, "QueueNotFound", "The specified queue does not exist.")
	errQueueExists     = otherError(http.StatusConflict, "QueueAlreadyExists", "The specified queue already exists.")
	errMessageNotFound = otherError(http.StatusNotFound, "MessageNotFound", "The specified message does not exist.")
	errReceipt         = badRequest("PopReceiptMismatch", "The specified pop receipt did not match the pop receipt for a dequeued message.")

	errInternal = otherError(http.StatusInternalServerError, "InternalError",
		"The server encountered an internal error. Please retry the request.")
)

// asServiceError converts an error to the answer for a client.
func asServiceError(err error) *serviceError {
	var e *serviceError
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, store.ErrQueueNotFound):
		return errQueueNotFound
	case errors.Is(err, store.ErrQueueExists):
		return errQueueExists
	case errors.Is(err, store.ErrMessageNotFound):
		return errMessageNotFound
	case errors.Is(err, store.ErrReceiptMismatch):
		return errReceipt
	case errors.Is(err, store.ErrExpiresBefore):
		return errParameterValue.wrong(parameter{name: "visibilitytimeout", reason: "The message expires before it is visible again."})
	default:
		return errInternal // a disk error; its text is not for clients
	}
}

// errorBody is the body of an error.
type errorBody struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	Name    string `xml:"QueryParameterName,omitempty"`
	Value   string `xml:"QueryParameterValue,omitempty"`
	Minimum string `xml:"MinimumAllowed,omitempty"`
	Maximum string `xml:"MaximumAllowed,omitempty"`
	Reason  string `xml:"Reason,omitempty"`
}

func (e *serviceError) body() errorBody {
	p := e.parameter
	return errorBody{
		Code: e.code, Message: e.text,
		Name: p.name, Value: p.value, Minimum: p.minimum, Maximum: p.maximum, Reason: p.reason,
	}
}
