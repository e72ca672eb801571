package infra_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// state is what Terraform would keep after an apply.
type state struct {
	Outputs map[string]struct {
		Value jsontext.Value `json:"value"`
	} `json:"outputs"`
	Root struct {
		Resources []resource `json:"resources"`
	} `json:"root_module"`
}

type resource struct {
	Address string                    `json:"address"`
	Type    string                    `json:"type"`
	Name    string                    `json:"name"`
	Index   any                       `json:"index"`
	Values  map[string]jsontext.Value `json:"values"`
}

// text returns an attribute that is a string.
func (r resource) text(attribute string) (s string, err error) {
	if err := json.Unmarshal(r.Values[attribute], &s); err != nil {
		return "", fmt.Errorf("%s.%s: %w", r.Address, attribute, err)
	}
	return s, nil
}

// applied runs the tests of a file and returns the state after its first apply.
func (tf terraform) applied(ctx context.Context, folder, file string) (state, error) {
	out, err := tf.run(ctx, folder, "test", "-json", "-verbose", "-filter="+file)
	if err != nil {
		return state{}, err
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(out))
	for decoder.PeekKind() == '{' {
		var message struct {
			State *state `json:"test_state"`
		}
		if err := json.UnmarshalDecode(decoder, &message); err != nil {
			return state{}, fmt.Errorf("read what terraform test prints: %w", err)
		}
		if message.State != nil {
			return *message.State, nil
		}
	}
	return state{}, errors.New("terraform test printed no state")
}

// checkSecrets returns where a secret is that has no business there. The mocked cloud's keys all begin with SECRET.
//
// The provider reads the keys of these resources itself and keeps them: nothing can be done about that, but that they open
// nothing, which checkKeysAreOff looks at.
func checkSecrets(s state) error {
	own := map[string][]string{
		"azurerm_storage_account":         {"primary_access_key", "secondary_access_key", "primary_connection_string"},
		"azurerm_log_analytics_workspace": {"primary_shared_key", "secondary_shared_key"},
		"azurerm_eventhub_namespace":      {"default_primary_key", "default_primary_connection_string"},
	}
	var wrong []error
	for _, r := range s.Root.Resources {
		for attribute, value := range r.Values {
			if strings.Contains(string(value), "SECRET") && !slices.Contains(own[r.Type], attribute) {
				wrong = append(wrong, fmt.Errorf("%s.%s has a secret", r.Address, attribute))
			}
		}
	}
	for name, output := range s.Outputs {
		if strings.Contains(string(output.Value), "SECRET") {
			wrong = append(wrong, fmt.Errorf("output %s has a secret", name))
		}
	}
	return errors.Join(wrong...)
}

// checkKeysAreOff returns which resources take keys.
func checkKeysAreOff(s state) error {
	switches := map[string]string{
		"azurerm_storage_account":         "shared_access_key_enabled",
		"azurerm_log_analytics_workspace": "local_authentication_enabled",
		"azurerm_application_insights":    "local_authentication_enabled",
		"azurerm_eventhub_namespace":      "local_authentication_enabled",
	}
	var wrong []error
	for _, r := range s.Root.Resources {
		if s, ok := switches[r.Type]; ok && string(r.Values[s]) != "false" {
			wrong = append(wrong, fmt.Errorf("%s takes keys: %s is %s", r.Address, s, r.Values[s]))
		}
	}
	return errors.Join(wrong...)
}

func TestNoSecrets(t *testing.T) {
	t.Parallel()
	tf := newTerraform(t)
	for _, file := range []string{"tests/event_hubs.tftest.hcl", "tests/foreign_kafka.tftest.hcl"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s, err := tf.applied(t.Context(), ".", file)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(checkSecrets(s), checkKeysAreOff(s)); err != nil {
				t.Error(err)
			}
			// What is looked for must be there to be found.
			found := 0
			for _, r := range s.Root.Resources {
				for _, value := range r.Values {
					found += strings.Count(string(value), "SECRET")
				}
			}
			if found < 3 {
				t.Errorf("the mocked cloud has %d secrets only", found)
			}
		})
	}
}
