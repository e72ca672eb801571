package azure

import (
	"path"
	"strings"
)

// role has the allowed actions of one of Azure's built-in roles, for management and for data, as far as the documents
// need them.
type role struct {
	Actions     []string `json:"actions"`
	NotActions  []string `json:"notActions"`
	DataActions []string `json:"-"`
}

// roles are the Azure built-in roles that are used here (Microsoft, "Azure built-in roles").
func roles() map[string]role {
	return map[string]role{
		"Owner": {Actions: []string{"*"}},
		"Contributor": {
			Actions:    []string{"*"},
			NotActions: []string{"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action"},
		},
		"Role Based Access Control Administrator": {Actions: []string{
			"Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete", "*/read",
		}},
		"Website Contributor": {Actions: []string{
			"Microsoft.Authorization/*/read", "Microsoft.Insights/components/*", "Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.Web/certificates/*", "Microsoft.Web/serverFarms/join/action", "Microsoft.Web/serverFarms/read", "Microsoft.Web/sites/*",
		}},
		"Reader":                    {Actions: []string{"*/read"}},
		"Key Vault Secrets Officer": {DataActions: []string{"Microsoft.KeyVault/vaults/secrets/*"}},
		"Storage Queue Data Reader": {DataActions: []string{"Microsoft.Storage/storageAccounts/queueServices/queues/messages/read"}},
	}
}

// fits says whether an action matches a role's actions, in which * matches any text.
func fits(patterns []string, action string) bool {
	for _, pattern := range patterns {
		// path.Match's star ends at a slash; here it does not.
		flat := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "|") }
		if ok, err := path.Match(flat(pattern), flat(action)); err == nil && ok {
			return true
		}
	}
	return false
}

// may fails as Azure does if the logged in user may not do something on a resource.
func (w *World) may(action, resource string, data bool) {
	for _, g := range w.Grants {
		given := roles()[g.Role]
		switch {
		case !g.holds(resource):
		case data && fits(given.DataActions, action), !data && fits(given.Actions, action) && !fits(given.NotActions, action):
			return
		}
	}
	if data {
		fail("ERROR: (Forbidden) Caller is not authorized to perform action on resource. Action: '%s' Resource: '%s'", action, resource)
	}
	fail("ERROR: (AuthorizationFailed) The client does not have authorization to perform action '%s' over scope '%s'", action, resource)
}

// permissions returns the logged in user's permissions on a resource, in Azure's format.
func (w *World) permissions(resource string) []role {
	all := []role{}
	for _, g := range w.Grants {
		if g.holds(resource) {
			all = append(all, roles()[g.Role])
		}
	}
	return all
}

func (g Grant) holds(resource string) bool {
	return strings.HasPrefix(strings.ToLower(resource)+"/", strings.ToLower(g.Scope)+"/")
}
