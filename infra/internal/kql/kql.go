// Package kql checks Kusto queries offline, for tests: it gives them to the Kusto language service, by way of the program
// in tools/kql, which knows the tables of Application Insights.
package kql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// HowTo says what a checker needs.
const HowTo = "needs Node 20 and `npm ci` in tools/kql"

// Finding is what is wrong in a file.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Checker checks queries.
type Checker struct{ node, program string }

// New returns a checker. root is the project's folder. The error says what is missing.
func New(root string) (Checker, error) {
	program := filepath.Join(root, "tools", "kql", "check.mjs")
	_, missing := os.Stat(filepath.Join(filepath.Dir(program), "node_modules", "@kusto", "language-service-next"))
	node, err := exec.LookPath("node")
	return Checker{node, program}, errors.Join(err, missing)
}

// Check returns what is wrong in the files. The error is not about them: the check could not be done.
func (c Checker) Check(ctx context.Context, files ...string) (all []Finding, err error) {
	command := exec.CommandContext(ctx, c.node, append([]string{c.program}, files...)...) //nolint:gosec // G204: a test's own program
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, failure := command.Output()
	decoder := jsontext.NewDecoder(bytes.NewReader(out))
	for decoder.PeekKind() == '{' {
		var f Finding
		if err := json.UnmarshalDecode(decoder, &f); err != nil {
			return nil, fmt.Errorf("read a finding: %w", err)
		}
		all = append(all, f)
	}
	if (failure != nil) != (len(all) > 0) || complaint.Len() > 0 {
		return nil, fmt.Errorf("check queries: %w: %s", errors.Join(failure), complaint.String())
	}
	return all, nil
}
