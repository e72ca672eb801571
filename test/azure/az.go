package azure

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
)

// azCommands are the commands of az. Sources: Azure/azure-cli, command_modules appservice, identity, keyvault, role,
// storage, their _params.py and _help.py.
func azCommands() []command {
	const app = " resource-group,g=! name,n=! slot,s="
	return []command{
		{"login", "tenant,t= use-device-code service-principal username,u= password,p= identity,i allow-no-subscriptions", func(p *process, _ arguments) error {
			p.world.LoggedIn = true
			return nil
		}},
		{"version", "", func(p *process, a arguments) error {
			return p.print(a, map[string]any{"azure-cli": p.world.Version, "extensions": map[string]any{}})
		}},
		{"account show", "name,n=", func(p *process, a arguments) error {
			return errors.Join(p.loggedIn(a), p.print(a, map[string]any{"id": p.subscription(a), "tenantId": "33333333-3333-3333-3333-333333333333"}))
		}},
		{"account set", "name,n=", func(p *process, a arguments) error {
			p.world.Default = a.flags["subscription"] + a.flags["name"]
			return p.loggedIn(a)
		}},
		{"ad signed-in-user show", "", func(p *process, a arguments) error { return p.print(a, map[string]any{"id": me}) }},
		{"rest", "method,m= url,u=! body,b= headers=", (*process).azRest},
		{"functionapp show", app, (*process).azShow},
		{"functionapp restart", app, func(p *process, a arguments) error { return p.there(a, "Microsoft.Web/sites/restart/Action") }},
		{"functionapp deployment source config-zip", app + " src=! build-remote= timeout,t=", (*process).azPublish},
		{"functionapp function keys list", app + " function-name=!", (*process).azKeys},
		{"identity create", "resource-group,g=! name,n=! location,l= tags=", (*process).azIdentity},
		{"identity show", "resource-group,g=! name,n=!", (*process).azIdentity},
		{"identity federated-credential create", "resource-group,g=! identity-name=! name,n=! issuer= subject= audiences= audience=", func(p *process, a arguments) error {
			p.world.Subject = a.flags["subject"]
			return p.azIdentity(a)
		}},
		{"role assignment create", "role=! assignee= assignee-object-id= assignee-principal-type= scope=! condition= description=", (*process).azAssign},
		{"keyvault secret set", "vault-name= name,n= id= file,f= value= encoding,e= content-type= expires= description=", (*process).azSecret},
		{"storage message peek", "queue-name,q=! num-messages= account-name= account-key= auth-mode= connection-string=", func(p *process, a arguments) error {
			account := p.world.Group() + "/providers/Microsoft.Storage/storageAccounts/" + a.flags["account-name"]
			if err := p.allowed(a, "Microsoft.Storage/storageAccounts/queueServices/queues/messages/read", account, true); err != nil {
				return err
			}
			return p.print(a, []any{})
		}},
	}
}

// The object ids of the identity that the workflow gets, and of the logged in user.
const (
	GitHub = "66666666-6666-6666-6666-666666666666"
	me     = "55555555-5555-5555-5555-555555555555"
)

// loggedIn fails if nobody is logged in, or if the user does not have the subscription.
func (p *process) loggedIn(a arguments) error {
	if !p.world.LoggedIn {
		return fail("ERROR: Please run 'az login' to setup account.")
	}
	if s := p.subscription(a); s != Subscription && s != Other {
		return fail("ERROR: The subscription of '%s' doesn't exist in cloud 'AzureCloud'.", s)
	}
	return nil
}

func (p *process) subscription(a arguments) string {
	if s := a.flags["subscription"]; s != "" {
		return s
	}
	return p.world.Default
}

func (p *process) azRest(a arguments) error {
	if err := p.loggedIn(a); err != nil {
		return err
	}
	resource, ok := strings.CutSuffix(a.flags["url"], "/providers/Microsoft.Authorization/permissions?api-version=2022-04-01")
	if !ok {
		return fail("ERROR: Not Found: the stand-in knows permissions only")
	}
	return p.print(a, map[string]any{"value": p.world.permissions(resource)})
}

// allowed fails if the user is not logged in, or may not do something on a resource.
func (p *process) allowed(a arguments, action, resource string, data bool) error {
	if err := p.loggedIn(a); err != nil {
		return err
	}
	return p.world.may(action, resource, data)
}

// there fails if the app does not exist in the command's subscription, or if the action is not allowed.
func (p *process) there(a arguments, action string) error {
	if err := p.group(a); err != nil {
		return err
	}
	if a.flags["name"] != p.world.Text("function_app_name") {
		return fail("ERROR: (ResourceNotFound) The Resource 'Microsoft.Web/sites/%s' under resource group '%s' was not found.", a.flags["name"], a.flags["resource-group"])
	}
	return p.world.may(action, p.world.App(), false)
}

func (p *process) group(a arguments) error {
	if err := p.loggedIn(a); err != nil {
		return err
	}
	if !p.world.Made || p.subscription(a) != Subscription || a.flags["resource-group"] != p.world.Text("resource_group") {
		return fail("ERROR: (ResourceGroupNotFound) Resource group '%s' could not be found.", a.flags["resource-group"])
	}
	return nil
}

func (p *process) azShow(a arguments) error {
	if err := p.there(a, "Microsoft.Web/sites/Read"); err != nil {
		return err
	}
	return p.print(a, map[string]any{
		"id": p.world.App(), "properties": map[string]any{"defaultHostName": "func.azurewebsites.net", "serverFarmId": p.world.Plan()},
	})
}

// azPublish is config-zip on Flex Consumption (appservice/custom.py, enable_zip_deploy_functionapp): it reads the app and its plan,
// sends the package, and asks the host for its state with the master key.
func (p *process) azPublish(a arguments) error {
	for _, action := range []string{"Microsoft.Web/sites/Read", "Microsoft.Web/sites/publish/Action", "Microsoft.Web/sites/host/listkeys/action"} {
		if err := p.there(a, action); err != nil {
			return err
		}
	}
	if err := p.world.may("Microsoft.Web/serverfarms/Read", p.world.Plan(), false); err != nil {
		return err
	}
	archive, err := os.ReadFile(a.flags["src"])
	if err != nil {
		return fail("ERROR: [Errno 2] No such file or directory: '%s'", a.flags["src"])
	}
	p.world.Published = append(p.world.Published, fmt.Sprintf("%x", sha256.Sum256(archive)))
	return p.print(a, "Deployment was successful.")
}

func (p *process) azKeys(a arguments) error {
	if err := p.there(a, "Microsoft.Web/sites/functions/listkeys/action"); err != nil {
		return err
	}
	if len(p.world.Published) == 0 {
		return fail("ERROR: Operation returned an invalid status 'Not Found'")
	}
	return p.print(a, map[string]any{"default": "the-key"})
}

func (p *process) azIdentity(a arguments) error {
	if err := p.group(a); err != nil {
		return err
	}
	if err := p.world.may("Microsoft.ManagedIdentity/userAssignedIdentities/write", p.world.Group(), false); err != nil {
		return err
	}
	return p.print(a, map[string]any{"principalId": GitHub, "clientId": "77777777-7777-7777-7777-777777777777"})
}

func (p *process) azAssign(a arguments) error {
	if _, ok := roles()[a.flags["role"]]; !ok {
		return fail("ERROR: Role '%s' doesn't exist.", a.flags["role"])
	}
	if err := p.allowed(a, "Microsoft.Authorization/roleAssignments/write", a.flags["scope"], false); err != nil {
		return err
	}
	who, grant := a.flags["assignee"]+a.flags["assignee-object-id"], Grant{a.flags["role"], a.flags["scope"]}
	if p.world.Assigned == nil {
		p.world.Assigned = map[string][]Grant{}
	}
	p.world.Assigned[who] = append(p.world.Assigned[who], grant)
	if who == me {
		p.world.Grants = append(p.world.Grants, grant)
	}
	return nil
}

func (p *process) azSecret(a arguments) error {
	vault := p.world.Group() + "/providers/Microsoft.KeyVault/vaults/" + a.flags["vault-name"]
	if err := p.allowed(a, "Microsoft.KeyVault/vaults/secrets/setSecret/action", vault, true); err != nil {
		return err
	}
	text, err := os.ReadFile(a.flags["file"])
	if err != nil {
		return fail("ERROR: [Errno 2] No such file or directory: '%s'", a.flags["file"])
	}
	if p.world.Vault == nil {
		p.world.Vault = map[string]string{}
	}
	p.world.Vault[a.flags["name"]] = string(text)
	return nil
}

// print prints an answer as az does: as JSON or as text, completely or filtered by a query.
func (p *process) print(a arguments, answer any) error {
	for name := range strings.SplitSeq(a.flags["query"], ".") {
		if name != "" {
			object, _ := answer.(map[string]any)
			answer = object[name]
		}
	}
	if a.flags["output"] == "tsv" {
		if answer != nil {
			_, _ = fmt.Fprintln(p.stdout, answer)
		}
		return nil
	}
	text, err := json.Marshal(answer)
	_, _ = fmt.Fprintf(p.stdout, "%s\n", text)
	return err
}
