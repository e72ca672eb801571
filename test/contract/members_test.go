package contract_test

import (
	"reflect"
	"testing"
	"time"

	"userrelay/handler/registration"
)

// TestEveryMemberIsPublished sets each member of an event and compares the record with the documents.
func TestEveryMemberIsPublished(t *testing.T) {
	t.Parallel()
	document := loadContract(t)
	base := registration.Event{ID: "e-1", UserID: "auth0|1", Source: "urn:auth0:acme", Time: time.Unix(1, 0)}
	members := reflect.TypeFor[registration.Event]()
	for i := range members.NumField() {
		changed := base
		switch v := reflect.ValueOf(&changed).Elem().Field(i); v.Interface().(type) {
		case string:
			v.SetString("another")
		case bool:
			v.SetBool(true)
		case time.Time:
		case []byte:
			v.SetBytes([]byte(`{"name":"ż"}`))
		default:
			t.Fatalf("%s: unknown type %s", members.Field(i).Name, v.Type())
		}
		document.hold(t, changed.Record(
			registration.Header{Key: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"},
			registration.Header{Key: "tracestate", Value: "acme=1"},
		))
	}
}
