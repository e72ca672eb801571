package contract_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// TestEveryMember sets each member of an event: it must be in the record, also after the outbox, and the record must be as
// the documents say. Otherwise a member that a form omits would be lost silently. The members that concern only the
// request and are not stored are listed here.
func TestEveryMember(t *testing.T) {
	t.Parallel()
	ofTheRequest := map[string]bool{"Chosen": true, "TenantLeftOut": true}
	document := loadContract(t)
	trace := []registration.Header{{Key: "traceparent", Value: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}, {Key: "tracestate", Value: "acme=1"}}
	base := registration.Event{ID: "e-1", UserID: "auth0|1", Source: "urn:auth0:acme", Time: time.Unix(1, 0)}
	members := reflect.TypeFor[registration.Event]()
	for i := range members.NumField() {
		name, changed := members.Field(i).Name, base
		change(t, name, reflect.ValueOf(&changed).Elem().Field(i))
		record := changed.Record(trace...)
		document.hold(t, record)
		if cmp.Equal(base.Record(trace...), record) != ofTheRequest[name] {
			t.Errorf("%s is not in the record, or is said not to be", name)
		}
		m, err := registration.ParseEnvelope(registration.Envelope{Event: changed, Queued: time.Unix(2, 0)}.Encode())
		if diff := cmp.Diff(record, m.Event.Record(trace...)); err != nil || diff != "" {
			t.Errorf("%s does not come through the outbox: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// change sets a member to another value.
func change(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case string:
		v.SetString("another")
	case bool:
		v.SetBool(true)
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(3, 0)))
	case []byte:
		v.SetBytes([]byte(`{"name":"ż"}`))
	default:
		t.Fatalf("%s: a member of type %s, which this test does not know", name, v.Type())
	}
}
