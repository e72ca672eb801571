package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/app"
	"userrelay/handler/registration"
	"userrelay/test/must"
)

// The outbox and the poison queue get the same origin; a role name on the application map does not change it.
func TestOrigin(t *testing.T) {
	t.Parallel()
	s := must.Get[settings](t)(load(variablesOf([]string{
		"KAFKA_BROKERS=k1:9092,k2:9092", "KAFKA_SECURITY_PROTOCOL=PLAINTEXT", "KAFKA_TOPIC=users", "AzureWebJobsStorage=UseDevelopmentStorage=true",
		"WEBSITE_SITE_NAME=App", "WEBSITE_SLOT_NAME=staging", "WEBSITE_CLOUD_ROLENAME=role",
	}), toCheck))
	c := must.Get[app.Config](t)(appConfig(s, nil))
	want := registration.Origin{App: "app-staging", Topic: "users", Brokers: []string{"k1:9092", "k2:9092"}}
	if diff := cmp.Diff(want, c.Origin) + cmp.Diff(want, c.Outbox.Origin); diff != "" || c.Role != "role" {
		t.Error(c.Role, diff)
	}
}
