package azure

import (
	"path"
	"strings"
)

// Role has the allowed actions of one of Azure's built-in roles, for management and for data, as far as the documents
// need them.
type Role struct {
	Actions, NotActions, DataActions []string
}

// Roles are the Azure built-in roles that are used here (Microsoft, "Azure built-in roles").
func Roles() map[string]Role {
	return map[string]Role{
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
		"Monitoring Reader":         {Actions: []string{"*/read"}},
		"Key Vault Secrets Officer": {DataActions: []string{"Microsoft.KeyVault/vaults/secrets/*"}},
		"Key Vault Secrets User":    {DataActions: []string{"Microsoft.KeyVault/vaults/secrets/getSecret/action"}},
		"Storage Queue Data Reader": {DataActions: []string{"Microsoft.Storage/storageAccounts/queueServices/queues/messages/read"}},
		"Storage Queue Data Contributor": {DataActions: []string{
			"Microsoft.Storage/storageAccounts/queueServices/queues/messages/read", "Microsoft.Storage/storageAccounts/queueServices/queues/messages/write",
			"Microsoft.Storage/storageAccounts/queueServices/queues/messages/delete", "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action",
		}},
		"Storage Blob Data Contributor": {DataActions: []string{"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"}},
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
func (w *World) may(action, resource string, data bool) error {
	for _, g := range w.Grants {
		role := Roles()[g.Role]
		within := strings.HasPrefix(strings.ToLower(resource)+"/", strings.ToLower(g.Scope)+"/")
		switch {
		case !within:
		case data && fits(role.DataActions, action), !data && fits(role.Actions, action) && !fits(role.NotActions, action):
			return nil
		}
	}
	if data {
		return fail("ERROR: (Forbidden) Caller is not authorized to perform action on resource. Action: '%s' Resource: '%s'", action, resource)
	}
	return fail("ERROR: (AuthorizationFailed) The client does not have authorization to perform action '%s' over scope '%s'", action, resource)
}

// permissions returns the logged in user's permissions on a resource, in Azure's format.
func (w *World) permissions(resource string) []Role {
	all := []Role{}
	for _, g := range w.Grants {
		if strings.HasPrefix(strings.ToLower(resource)+"/", strings.ToLower(g.Scope)+"/") {
			all = append(all, Roles()[g.Role])
		}
	}
	return all
}
