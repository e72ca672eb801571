package infra_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const templateFile = "templates/function_app.json"

// template is an ARM template.
type template struct {
	text string
	root map[string]any
}

func readTemplate(text []byte) (template, error) {
	root, err := object(text)
	if err != nil {
		return template{}, fmt.Errorf("%s: %w", templateFile, err)
	}
	return template{string(text), root}, nil
}

// object reads a JSON object.
func object(text []byte) (map[string]any, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("is no object")
	}
	return root, nil
}

// resources returns the template's resources by the schema of each: the type of the resource in lower case.
func (t template) resources() map[string][]map[string]any {
	all := map[string][]map[string]any{}
	list, _ := t.root["resources"].([]any)
	for _, r := range list {
		resource, _ := r.(map[string]any)
		name, _ := resource["type"].(string)
		all[strings.ToLower(name)] = append(all[strings.ToLower(name)], resource)
	}
	return all
}

// schemas are Microsoft's, compiled, by the type of the resource in lower case.
type schemas map[string]*jsonschema.Schema

// microsoft returns Microsoft's schemas. As they are published they let typing mistakes pass: where several alternatives
// fit they would have to exclude each other and do not, and objects take members that nobody knows. Both is fixed.
func microsoft() (schemas, error) {
	const web = "https://schema.management.azure.com/schemas/2024-11-01/Microsoft.Web.json"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	var definitions map[string]any
	for file, url := range map[string]string{
		"schemas/Microsoft.Web.json": web,
		"schemas/definitions.json":   "https://schema.management.azure.com/schemas/common/definitions.json",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		schema, err := object(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		anyOf(schema["resourceDefinitions"], false)
		anyOf(schema["definitions"], true)
		if err := compiler.AddResource(url, schema); err != nil {
			return nil, err
		}
		if url == web {
			definitions, _ = schema["resourceDefinitions"].(map[string]any)
		}
	}
	all := schemas{}
	for name, definition := range definitions {
		schema, err := compiler.Compile(web + "#/resourceDefinitions/" + name)
		if err != nil {
			return nil, err
		}
		kind, _ := at(definition, "properties", "type", "enum").([]any)
		if len(kind) != 1 {
			return nil, fmt.Errorf("%s: no type", name)
		}
		all[strings.ToLower(fmt.Sprint(kind[0]))] = schema
	}
	return all, nil
}

// anyOf makes alternatives of those that exclude each other, and closes objects.
func anyOf(schema any, closed bool) {
	switch s := schema.(type) {
	case []any:
		for _, part := range s {
			anyOf(part, closed)
		}
	case map[string]any:
		if alternatives, ok := s["oneOf"].([]any); ok {
			s["anyOf"] = alternatives
			delete(s, "oneOf")
		}
		if _, ok := s["properties"].(map[string]any); ok && closed && s["type"] == "object" && s["additionalProperties"] == nil {
			s["additionalProperties"] = false
		}
		for _, part := range s {
			anyOf(part, closed)
		}
	}
}

// at follows a path of names through objects; nil where it leads nowhere.
func at(value any, path ...string) any {
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// rule is what a template must say at a place.
type rule struct {
	path string
	want any
	why  string
}

// siteRules hold for the app: Azure takes it without them, and Microsoft's schema does, too.
func siteRules() []rule {
	identity := "[parameters('identityId')]"
	return []rule{
		{"kind", "functionapp,linux", "Flex Consumption"},
		{"identity.type", "UserAssigned", "one identity, whose roles are known beforehand"},
		{"properties.httpsOnly", true, "no key travels unencrypted"},
		{"properties.siteConfig.minTlsVersion", "1.2", "TLS"},
		{"properties.siteConfig.scmMinTlsVersion", "1.2", "TLS"},
		{"properties.siteConfig.ftpsState", "Disabled", "no FTP"},
		{"properties.siteConfig.ipSecurityRestrictions", "[parameters('ipSecurityRestrictions')]", "allowed addresses"},
		{"properties.siteConfig.ipSecurityRestrictionsDefaultAction", "[if(empty(parameters('ipSecurityRestrictions')), 'Allow', 'Deny')]", "a list of allowed addresses forbids all others"},
		{"properties.serverFarmId", "[parameters('planId')]", "the plan"},
		{"properties.keyVaultReferenceIdentity", identity, "references to the vault are read by the app's identity, not by one that it does not have"},
		{"properties.publicNetworkAccess", "Enabled", "Auth0 calls over the Internet"},
		{"properties.virtualNetworkSubnetId", "[if(empty(parameters('subnetId')), null(), parameters('subnetId'))]", "the network, where there is one"},
		{"properties.functionAppConfig.siteUpdateStrategy.type", "[parameters('updateStrategy')]", "how an update replaces instances"},
		{"properties.functionAppConfig.runtime.name", "custom", "a custom handler"},
		{"properties.functionAppConfig.runtime.version", "1.0", "Azure takes any other version and the app does not start (Azure/Azure-Functions#2666)"},
		{"properties.functionAppConfig.deployment.storage.type", "blobContainer", "where the package lies"},
		{"properties.functionAppConfig.deployment.storage.value", "[parameters('packageContainerUrl')]", "where the package lies"},
		{"properties.functionAppConfig.deployment.storage.authentication.type", "UserAssignedIdentity", "the package is read without a key"},
		{"properties.functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId", identity, "the package is read without a key"},
		{"properties.functionAppConfig.scaleAndConcurrency.alwaysReady", "[parameters('alwaysReady')]", "scaling"},
		{"properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB", "[parameters('instanceMemoryMB')]", "scaling"},
		{"properties.functionAppConfig.scaleAndConcurrency.maximumInstanceCount", "[parameters('maximumInstanceCount')]", "scaling"},
		{"properties.functionAppConfig.scaleAndConcurrency.triggers.http.perInstanceConcurrency", "[parameters('httpConcurrency')]", "the platform's own limit is as low as 4 requests for an instance"},
	}
}

// check returns all that is wrong with the template.
func (s schemas) check(t template) error {
	var wrong []error
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }

	resources := t.resources()
	for kind, list := range resources {
		schema := s[kind]
		if schema == nil {
			fail("%s: a type without a schema", kind)
			continue
		}
		for _, resource := range list {
			if err := schema.Validate(known(resource)); err != nil {
				fail("%s: %w", kind, err)
			}
		}
	}

	sites := resources["microsoft.web/sites"]
	if len(sites) != 1 {
		return errors.Join(append(wrong, errors.New("not one app"))...)
	}
	for _, r := range siteRules() {
		if got := at(sites[0], strings.Split(r.path, ".")...); got != r.want {
			fail("%s is %v, want %v: %s", r.path, got, r.want, r.why)
		}
	}
	identities, _ := at(sites[0], "identity", "userAssignedIdentities").(map[string]any)
	if _, ok := identities["[parameters('identityId')]"]; !ok || len(identities) != 1 {
		fail("the app has not one identity, the one that was given: %v", identities)
	}

	// Passwords for publishing: off for both ways.
	policies := map[any]any{}
	for _, p := range resources["microsoft.web/sites/basicpublishingcredentialspolicies"] {
		policies[p["name"]] = at(p, "properties", "allow")
	}
	for _, way := range []string{"scm", "ftp"} {
		if allow := policies["[concat(parameters('name'), '/"+way+"')]"]; allow != false {
			fail("%s takes passwords", way)
		}
	}
	settings := resources["microsoft.web/sites/config"]
	if len(settings) != 1 || settings[0]["properties"] != "[parameters('appSettings')]" {
		fail("the app's settings are not the ones that were given: %v", settings)
	}
	return errors.Join(append(wrong, t.checkParameters()...)...)
}

// known returns a resource without the one member that the service takes and Microsoft's schema does not have, up to 2025-03-01
// (az functionapp update-strategy config set writes it). siteRules hold it instead.
func known(resource map[string]any) map[string]any {
	config, _ := at(resource, "properties", "functionAppConfig").(map[string]any)
	if config == nil {
		return resource
	}
	config = maps.Clone(config)
	delete(config, "siteUpdateStrategy")
	properties, _ := resource["properties"].(map[string]any)
	properties = maps.Clone(properties)
	properties["functionAppConfig"] = config
	resource = maps.Clone(resource)
	resource["properties"] = properties
	return resource
}

// parameterRules hold for parameters, whose values neither the schema nor Azure's own types look at: they take any memory and
// any number of instances, and the app does not start.
func parameterRules() map[string]string {
	return map[string]string{
		"instanceMemoryMB":     "map[allowedValues:[512 2048 4096] type:int]",
		"maximumInstanceCount": "map[maxValue:1000 minValue:1 type:int]",
		"updateStrategy":       "map[allowedValues:[Recreate RollingUpdate] type:string]",
	}
}

// checkParameters holds the parameters that are declared against those that are used.
func (t template) checkParameters() (wrong []error) {
	declared, _ := t.root["parameters"].(map[string]any)
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`parameters\('([^']+)'\)`).FindAllStringSubmatch(t.text, -1) {
		used[m[1]] = true
		if declared[m[1]] == nil {
			wrong = append(wrong, fmt.Errorf("parameter %s is not declared", m[1]))
		}
	}
	for name, want := range parameterRules() {
		if got := fmt.Sprint(declared[name]); got != want { // maps are printed in order
			wrong = append(wrong, fmt.Errorf("parameter %s is %s, want %s", name, got, want))
		}
	}
	for name, parameter := range declared {
		if !used[name] {
			wrong = append(wrong, fmt.Errorf("parameter %s is not used", name))
		}
		if at(parameter, "defaultValue") != nil {
			wrong = append(wrong, fmt.Errorf("parameter %s has a default value: Terraform has the defaults", name))
		}
	}
	return wrong
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(templateFile)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := readTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	known, err := microsoft()
	if err != nil {
		t.Fatal(err)
	}
	if err := known.check(tmpl); err != nil {
		t.Error(err)
	}
}
