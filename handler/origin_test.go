package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"userrelay/handler/registration"
)

// The outbox and the poison queue get the same origin; a role name on the application map does not change it.
func TestOrigin(t *testing.T) {
	t.Parallel()
	s, err := load(variablesOf([]string{
		"KAFKA_BROKERS=k1:9092,k2:9092", "KAFKA_SECURITY_PROTOCOL=PLAINTEXT", "KAFKA_TOPIC=users", "AzureWebJobsStorage=UseDevelopmentStorage=true",
		"WEBSITE_SITE_NAME=App", "WEBSITE_SLOT_NAME=staging", "WEBSITE_CLOUD_ROLENAME=role",
	}), toCheck)
	if err != nil {
		t.Fatal(err)
	}
	c, err := appConfig(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := registration.Origin{App: "app-staging", Topic: "users", Brokers: []string{"k1:9092", "k2:9092"}}
	if diff := cmp.Diff(want, c.Origin) + cmp.Diff(want, c.Outbox.Origin); diff != "" || c.Role != "role" {
		t.Error(c.Role, diff)
	}
}
