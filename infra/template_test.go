package infra_test

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"userrelay/test/must"
)

// schemas are Microsoft's, compiled, by the type of the resource in lower case.
type schemas map[string]*jsonschema.Schema

// microsoft returns Microsoft's schemas. As they are published they let typing mistakes pass: where several alternatives
// fit they would have to exclude each other and do not, and objects take members that nobody knows. Both is fixed.
func microsoft(t *testing.T) schemas {
	t.Helper()
	const web = "https://schema.management.azure.com/schemas/2024-11-01/Microsoft.Web.json"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	add := func(url, file string) map[string]any {
		schema := decoded[map[string]any](t, []byte(read(t, file)))
		anyOf(schema["resourceDefinitions"], false)
		anyOf(schema["definitions"], true)
		if err := compiler.AddResource(url, schema); err != nil {
			t.Fatal(err)
		}
		return schema
	}
	add("https://schema.management.azure.com/schemas/common/definitions.json", "schemas/definitions.json")
	definitions, _ := add(web, "schemas/Microsoft.Web.json")["resourceDefinitions"].(map[string]any)
	all := schemas{}
	for name, definition := range definitions {
		kind, _ := at(definition, "properties", "type", "enum").([]any)
		all[strings.ToLower(fmt.Sprint(kind[0]))] = must.Get[*jsonschema.Schema](t)(compiler.Compile(web + "#/resourceDefinitions/" + name))
	}
	return all
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

// siteRules say what the app must have at a place: Azure takes it without them, and Microsoft's schema does, too.
func siteRules() map[string]any {
	identity := "[parameters('identityId')]"
	return map[string]any{
		"kind":                                                                "functionapp,linux",
		"identity.userAssignedIdentities":                                     map[string]any{identity: map[string]any{}},
		"identity.type":                                                       "UserAssigned", // one identity, whose roles are known beforehand
		"properties.httpsOnly":                                                true,
		"properties.siteConfig.minTlsVersion":                                 "1.2",
		"properties.siteConfig.scmMinTlsVersion":                              "1.2",
		"properties.siteConfig.ftpsState":                                     "Disabled",
		"properties.siteConfig.ipSecurityRestrictions":                        "[parameters('ipSecurityRestrictions')]",
		"properties.siteConfig.ipSecurityRestrictionsDefaultAction":           "[if(empty(parameters('ipSecurityRestrictions')), 'Allow', 'Deny')]", // a list of allowed addresses forbids all others
		"properties.serverFarmId":                                             "[parameters('planId')]",
		"properties.keyVaultReferenceIdentity":                                identity, // references to the vault are read by the app's identity, not by one that it does not have
		"properties.publicNetworkAccess":                                      "Enabled",
		"properties.virtualNetworkSubnetId":                                   "[if(empty(parameters('subnetId')), null(), parameters('subnetId'))]",
		"properties.functionAppConfig.siteUpdateStrategy.type":                "[parameters('updateStrategy')]",
		"properties.functionAppConfig.runtime.name":                           "custom",
		"properties.functionAppConfig.runtime.version":                        "1.0", // Azure takes any other version and the app does not start (Azure/Azure-Functions#2666)
		"properties.functionAppConfig.deployment.storage.type":                "blobContainer",
		"properties.functionAppConfig.deployment.storage.value":               "[parameters('packageContainerUrl')]",
		"properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity", // the package is read without a key
		"properties.functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId": identity, // the package is read without a key
		"properties.functionAppConfig.scaleAndConcurrency.alwaysReady":                                  "[parameters('alwaysReady')]",
		"properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB":                             "[parameters('instanceMemoryMB')]",
		"properties.functionAppConfig.scaleAndConcurrency.maximumInstanceCount":                         "[parameters('maximumInstanceCount')]",
		"properties.functionAppConfig.scaleAndConcurrency.triggers.http.perInstanceConcurrency":         "[parameters('httpConcurrency')]", // the platform's own limit is as low as 4 requests for an instance
	}
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

// check returns what is wrong with the template.
func (s schemas) check(t *testing.T, text string) error {
	t.Helper()
	root := decoded[map[string]any](t, []byte(text))
	var wrong []error
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	same := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) { // maps are printed in order
			fail("%s is %v, want %v", what, got, want)
		}
	}
	kinds, passwords := map[string]int{}, map[string]any{}
	list, _ := root["resources"].([]any)
	for _, resource := range list {
		kind := strings.ToLower(fmt.Sprint(at(resource, "type")))
		switch kinds[kind]++; kind {
		case "microsoft.web/sites":
			for path, want := range siteRules() {
				same(path, at(resource, strings.Split(path, ".")...), want)
			}
			// The service takes this member, and Microsoft's schema does not have it, up to 2025-03-01 (az functionapp
			// update-strategy config set writes it).
			if config, ok := at(resource, "properties", "functionAppConfig").(map[string]any); ok {
				delete(config, "siteUpdateStrategy")
			}
		case "microsoft.web/sites/config":
			same("the app's settings", at(resource, "properties"), "[parameters('appSettings')]")
		case "microsoft.web/sites/basicpublishingcredentialspolicies":
			passwords[fmt.Sprint(at(resource, "name"))] = at(resource, "properties", "allow")
		}
		if schema := s[kind]; schema == nil {
			fail("%s: a type without a schema", kind)
		} else if err := schema.Validate(resource); err != nil {
			fail("%s: %w", kind, err)
		}
	}
	same("number of resources", kinds, map[string]int{"microsoft.web/sites": 1, "microsoft.web/sites/config": 1, "microsoft.web/sites/basicpublishingcredentialspolicies": 2})
	same("passwords for publishing", passwords, map[string]any{"[concat(parameters('name'), '/scm')]": false, "[concat(parameters('name'), '/ftp')]": false})

	// The parameters that are declared are those that are used.
	declared, _ := root["parameters"].(map[string]any)
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`parameters\('([^']+)'\)`).FindAllStringSubmatch(text, -1) {
		used[m[1]] = true
	}
	same("used parameters", slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(declared)))
	for name, want := range parameterRules() {
		same(name, declared[name], want)
	}
	for name, parameter := range declared {
		same("default value of "+name+", which Terraform has", at(parameter, "defaultValue"), nil)
	}
	return errors.Join(wrong...)
}

// TestTemplate checks the template, and that a mistake in it is found: one for each kind of check.
func TestTemplate(t *testing.T) {
	t.Parallel()
	text, known := read(t, "templates/function_app.json"), microsoft(t)
	if err := known.check(t, text); err != nil {
		t.Error(err)
	}
	for right, wrong := range map[string]string{
		`"version": "1.0"`:                            `"version": "1.0.0"`,
		`"perInstanceConcurrency"`:                    `"perInstanceConcurency"`,
		`"properties": { "allow": false }`:            `"properties": { "allow": true }`,
		`"httpsOnly": true`:                           `"httpsOnly": false`,
		`"http20Enabled": true`:                       `"http20Enabled": "yes"`,
		`"type": "UserAssignedIdentity"`:              `"type": "StorageAccountConnectionString"`,
		`parameters('planId')`:                        `parameters('plan')`,
		`"apiVersion": "2024-11-01"`:                  `"apiVersion": "2024-11-31"`,
		`"virtualNetworkSubnetId"`:                    `"vnetSubnetId"`,
		`[512, 2048, 4096]`:                           `[1024, 2048, 4096]`,
		`"properties": "[parameters('appSettings')]"`: `"properties": {}`,
		`"[parameters('identityId')]": {}`:            `"[parameters('planId')]": {}`,
	} {
		if spoilt := strings.Replace(text, right, wrong, 1); spoilt == text || known.check(t, spoilt) == nil {
			t.Errorf("%q for %q is not found, or not there", wrong, right)
		}
	}
}
