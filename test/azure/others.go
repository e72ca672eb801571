package azure

import (
	"fmt"
	"os"
	"strings"
)

// funcCommands are the commands of Azure Functions Core Tools (azure-functions-core-tools,
// PublishFunctionAppAction.cs, StartHostAction.cs).
func funcCommands() []command {
	return []command{
		{"azure functionapp publish", "* subscription= slot= custom no-build force show-keys,k publish-local-settings,i overwrite-settings,y list-included-files list-ignored-files access-token= build=", (*process).funcPublish},
		{"start", "port,p= verbose cors= functions=", func(*process, arguments) error { return nil }},
	}
}

func (p *process) funcPublish(a arguments) error {
	if len(a.rest) != 1 || a.rest[0] != p.world.Text("function_app_name") {
		return fail("Can't find app with name %q", strings.Join(a.rest, " "))
	}
	if s := a.flags["subscription"]; s != Subscription {
		return fail("Can't find app with name %q: --subscription is %q, and core tools look in az's default one", a.rest[0], s)
	}
	if _, err := os.Stat("bin/handler"); err != nil {
		return fail("the stand-in stops here: there is no bin/handler, which host.json names")
	}
	return p.world.may("Microsoft.Web/sites/publish/Action", p.world.App(), false)
}

// ghCommands are the commands of GitHub's gh (its manual, cli.github.com).
func ghCommands() []command {
	return []command{
		{"api", "* method,X= jq,q= field,f= header,H= input= paginate silent", (*process).ghAPI},
		{"variable set", "* body,b= env,e= repo,R= org,o=", func(*process, arguments) error { return nil }},
		{"workflow run", "* field,F= raw-field,f= ref,r= repo,R=", func(*process, arguments) error { return nil }},
		{"release download", "* pattern,p= dir,D= repo,R= clobber", func(*process, arguments) error { return nil }},
		{"attestation verify", "* repo,R= owner,o= signer-workflow= predicate-type= format= source-ref= source-digest=", func(*process, arguments) error { return nil }},
	}
}

func (p *process) ghAPI(a arguments) error {
	if len(a.rest) != 1 || !strings.HasSuffix(a.rest[0], "/actions/oidc/customization/sub") {
		return fail("gh: Not Found (HTTP 404)")
	}
	if a.flags["jq"] != ".sub_claim_prefix" {
		return fail("gh: the stand-in knows the query .sub_claim_prefix only")
	}
	_, _ = fmt.Fprintln(p.stdout, p.world.Prefix)
	return nil
}
