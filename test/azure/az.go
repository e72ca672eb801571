package azure

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
)

// The object ids of the identity that the workflow gets, and of the logged in user.
const (
	GitHub = "66666666-6666-6666-6666-666666666666"
	me     = "55555555-5555-5555-5555-555555555555"
)

// azCommands are the commands of az. Sources: Azure/azure-cli, command_modules appservice, identity, keyvault, role,
// storage, their _params.py and _help.py.
func azCommands() []command {
	const app = " resource-group,g=! name,n=! slot,s="
	return []command{
		{"login", "tenant,t= use-device-code service-principal username,u= password,p= identity,i allow-no-subscriptions", func(p *process, _ arguments) {
			p.world.LoggedIn = true
		}},
		{"version", "", func(p *process, a arguments) {
			p.print(a, map[string]any{"azure-cli": p.world.Version, "extensions": map[string]any{}})
		}},
		{"account show", "name,n=", func(p *process, a arguments) {
			p.print(a, map[string]any{"id": p.loggedIn(a), "tenantId": "33333333-3333-3333-3333-333333333333"})
		}},
		{"account set", "name,n=", func(p *process, a arguments) {
			p.world.Default = a.flags["subscription"] + a.flags["name"]
			p.loggedIn(a)
		}},
		{"ad signed-in-user show", "", func(p *process, a arguments) { p.print(a, map[string]any{"id": me}) }},
		{"rest", "method,m= url,u=! body,b= headers=", (*process).azRest},
		{"functionapp show", app, func(p *process, a arguments) {
			p.there(a, "Microsoft.Web/sites/Read")
			p.print(a, map[string]any{
				"id": p.world.App(), "properties": map[string]any{"defaultHostName": "func.azurewebsites.net", "serverFarmId": p.world.Plan()},
			})
		}},
		{"functionapp restart", app, func(p *process, a arguments) { p.there(a, "Microsoft.Web/sites/restart/Action") }},
		{"functionapp deployment source config-zip", app + " src=! build-remote= timeout,t=", (*process).azPublish},
		{"functionapp function keys list", app + " function-name=!", func(p *process, a arguments) {
			p.there(a, "Microsoft.Web/sites/functions/listkeys/action")
			if len(p.world.Published) == 0 {
				fail("ERROR: Operation returned an invalid status 'Not Found'")
			}
			p.print(a, map[string]any{"default": "the-key"})
		}},
		{"identity create", "resource-group,g=! name,n=! location,l= tags=", (*process).azIdentity},
		{"identity show", "resource-group,g=! name,n=!", (*process).azIdentity},
		{"identity federated-credential create", "resource-group,g=! identity-name=! name,n=! issuer= subject= audiences= audience=", func(p *process, a arguments) {
			p.world.Subject = a.flags["subject"]
			p.azIdentity(a)
		}},
		{"role assignment create", "role=! assignee= assignee-object-id= assignee-principal-type= scope=! condition= description=", (*process).azAssign},
		{"keyvault secret set", "vault-name= name,n= id= file,f= value= encoding,e= content-type= expires= description=", (*process).azSecret},
		{"storage message peek", "queue-name,q=! num-messages= account-name= account-key= auth-mode= connection-string=", func(p *process, a arguments) {
			account := p.world.Group() + "/providers/Microsoft.Storage/storageAccounts/" + a.flags["account-name"]
			p.loggedIn(a)
			p.world.may("Microsoft.Storage/storageAccounts/queueServices/queues/messages/read", account, true)
			p.print(a, []any{})
		}},
	}
}

// loggedIn returns the subscription of a call. It fails if nobody is logged in, or if the user does not have it.
func (p *process) loggedIn(a arguments) (subscription string) {
	if !p.world.LoggedIn {
		fail("ERROR: Please run 'az login' to setup account.")
	}
	if subscription = a.flags["subscription"]; subscription == "" {
		subscription = p.world.Default
	}
	if subscription != Subscription && subscription != Other {
		fail("ERROR: The subscription of '%s' doesn't exist in cloud 'AzureCloud'.", subscription)
	}
	return subscription
}

func (p *process) azRest(a arguments) {
	p.loggedIn(a)
	resource, ok := strings.CutSuffix(a.flags["url"], "/providers/Microsoft.Authorization/permissions?api-version=2022-04-01")
	if !ok {
		fail("ERROR: Not Found: the stand-in knows permissions only")
	}
	p.print(a, map[string]any{"value": p.world.permissions(resource)})
}

// group fails if the call's resource group does not exist in its subscription.
func (p *process) group(a arguments) {
	if p.loggedIn(a) != Subscription || !p.world.Made || a.flags["resource-group"] != p.world.Text("resource_group") {
		fail("ERROR: (ResourceGroupNotFound) Resource group '%s' could not be found.", a.flags["resource-group"])
	}
}

// there fails if the app does not exist in the call's subscription, or if an action is not allowed.
func (p *process) there(a arguments, actions ...string) {
	p.group(a)
	if a.flags["name"] != p.world.Text("function_app_name") {
		fail("ERROR: (ResourceNotFound) The Resource 'Microsoft.Web/sites/%s' under resource group '%s' was not found.", a.flags["name"], a.flags["resource-group"])
	}
	for _, action := range actions {
		p.world.may(action, p.world.App(), false)
	}
}

// azPublish is config-zip on Flex Consumption (appservice/custom.py, enable_zip_deploy_functionapp): it reads the app and its plan,
// sends the package, and asks the host for its state with the master key.
func (p *process) azPublish(a arguments) {
	p.there(a, "Microsoft.Web/sites/Read", "Microsoft.Web/sites/publish/Action", "Microsoft.Web/sites/host/listkeys/action")
	p.world.may("Microsoft.Web/serverfarms/Read", p.world.Plan(), false)
	p.world.Published = append(p.world.Published, fmt.Sprintf("%x", sha256.Sum256(azFile(a.flags["src"]))))
	p.print(a, "Deployment was successful.")
}

func azFile(name string) []byte {
	text, err := os.ReadFile(name)
	if err != nil {
		fail("ERROR: [Errno 2] No such file or directory: '%s'", name)
	}
	return text
}

func (p *process) azIdentity(a arguments) {
	p.group(a)
	p.world.may("Microsoft.ManagedIdentity/userAssignedIdentities/write", p.world.Group(), false)
	p.print(a, map[string]any{"principalId": GitHub, "clientId": "77777777-7777-7777-7777-777777777777"})
}

func (p *process) azAssign(a arguments) {
	if _, ok := roles()[a.flags["role"]]; !ok {
		fail("ERROR: Role '%s' doesn't exist.", a.flags["role"])
	}
	p.loggedIn(a)
	p.world.may("Microsoft.Authorization/roleAssignments/write", a.flags["scope"], false)
	who, grant := a.flags["assignee"]+a.flags["assignee-object-id"], Grant{a.flags["role"], a.flags["scope"]}
	p.world.Assigned[who] = append(p.world.Assigned[who], grant)
	if who == me {
		p.world.Grants = append(p.world.Grants, grant)
	}
}

func (p *process) azSecret(a arguments) {
	p.loggedIn(a)
	p.world.may("Microsoft.KeyVault/vaults/secrets/setSecret/action", p.world.Group()+"/providers/Microsoft.KeyVault/vaults/"+a.flags["vault-name"], true)
	p.world.Vault[a.flags["name"]] = string(azFile(a.flags["file"]))
}

// print prints an answer as az does: as JSON or as text, completely or filtered by a query.
func (p *process) print(a arguments, answer any) {
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
		return
	}
	text, err := json.Marshal(answer)
	check(err)
	_, _ = fmt.Fprintf(p.stdout, "%s\n", text)
}
