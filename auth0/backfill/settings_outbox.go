package main

import (
	"errors"
	"fmt"
	"strings"

	"userrelay/handler/identity"
	"userrelay/handler/outbox"
)

// readOutbox reads the function app's settings of the storage account with the outbox; nil if there are none.
func readOutbox(text func(name string) string, login func(scope string) (*identity.Tokens, error)) (*outbox.Config, error) {
	if strings.EqualFold(text("OUTBOX"), "off") {
		return nil, nil //nolint:nilnil // no outbox is none
	}
	for name, parse := range map[string]func(string) (outbox.Account, error){
		"AzureWebJobsStorage": outbox.ParseConnectionString, "AzureWebJobsStorage__accountName": outbox.NamedAccount,
		"AzureWebJobsStorage__queueServiceUri": outbox.AccountAt,
	} {
		if text(name) == "" {
			continue
		}
		account, err := parse(text(name))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		c := &outbox.Config{Account: account}
		if account.ByIdentity() {
			if c.Tokens, err = login(outbox.Scope); err != nil {
				return nil, errors.New(name + ": needs an Azure identity: log in with az login")
			}
		}
		return c, nil
	}
	return nil, errors.New("AzureWebJobsStorage, or AzureWebJobsStorage__accountName or __queueServiceUri: must be set for the outbox; if there is none, set OUTBOX=off")
}
