package azure

import (
	"fmt"
	"os"
	"strings"
)

// funcCommands are the commands of Azure Functions Core Tools (azure-functions-core-tools, PublishFunctionAppAction.cs).
func funcCommands() []command {
	return []command{{"azure functionapp publish", "* subscription= slot= custom no-build force build=", func(p *process, a arguments) {
		if s := a.flags["subscription"]; len(a.rest) != 1 || a.rest[0] != p.world.Text("function_app_name") || s != Subscription {
			fail("Can't find app with name %q: --subscription is %q, and core tools look in az's default one", a.rest, s)
		}
		if _, err := os.Stat("bin/handler"); err != nil {
			fail("the stand-in stops here: there is no bin/handler, which host.json names")
		}
		p.world.may("Microsoft.Web/sites/publish/Action", p.world.App(), false)
	}}}
}

// ghCommands are the commands of GitHub's gh (its manual, cli.github.com).
func ghCommands() []command {
	return []command{
		{"variable set", "* body,b= env,e= repo,R= org,o=", func(*process, arguments) {}},
		{"api", "* method,X= jq,q= field,f= header,H= paginate silent", func(p *process, a arguments) {
			if len(a.rest) != 1 || !strings.HasSuffix(a.rest[0], "/actions/oidc/customization/sub") {
				fail("gh: Not Found (HTTP 404)")
			}
			if a.flags["jq"] != ".sub_claim_prefix" {
				fail("gh: the stand-in knows the query .sub_claim_prefix only")
			}
			_, _ = fmt.Fprintln(p.stdout, p.world.Prefix)
		}},
	}
}
