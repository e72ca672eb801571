package registration_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// Every member of an event reaches the topic, also through the outbox. Otherwise a member that a form omits would be
// lost silently. The members that concern only the request and are not stored are listed here.
func TestEveryMemberIsStored(t *testing.T) {
	t.Parallel()
	ofTheRequest := map[string]bool{"Chosen": true, "TenantLeftOut": true}
	base := registration.Event{ID: "e-1", Chosen: true, UserID: "auth0|1", Source: "urn:auth0:acme", Time: time.Unix(1, 0).UTC()}
	members := reflect.TypeFor[registration.Event]()
	for i := range members.NumField() {
		name := members.Field(i).Name
		if ofTheRequest[name] {
			continue
		}
		changed := base
		change(t, name, reflect.ValueOf(&changed).Elem().Field(i))
		if cmp.Equal(base.Record(), changed.Record()) {
			t.Errorf("%s is not in the record", name)
		}
		m, err := registration.ParseEnvelope(registration.Envelope{Event: changed, Queued: time.Unix(2, 0).UTC()}.Encode())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(changed.Record(), m.Event.Record()); diff != "" {
			t.Errorf("%s does not come through the outbox (-want +got):\n%s", name, diff)
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
		v.Set(reflect.ValueOf(time.Unix(3, 0).UTC()))
	case []byte:
		v.SetBytes([]byte(`{"name":"ż"}`))
	default:
		t.Fatalf("%s: a member of type %s, which this test does not know", name, v.Type())
	}
}
