package infra_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// job is one of a workflow's.
type job struct {
	Permissions map[string]string `yaml:"permissions"`
	Needs       any               `yaml:"needs"`
	Environment any               `yaml:"environment"`
	Steps       []struct {
		Uses string `yaml:"uses"`
		Run  string `yaml:"run"`
	} `yaml:"steps"`
}

// power is what a job may write or sign, in order.
func (j job) power() (powers []string) {
	for name, right := range j.Permissions {
		if right == "write" && name != "security-events" {
			powers = append(powers, name)
		}
	}
	slices.Sort(powers)
	return powers
}

// TestWorkflows: what may write or sign runs neither tests nor builds, which bring code of others along. A release is of a
// commit that has passed ci on main, and what is deployed or applied was approved.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 5 {
		t.Fatalf("workflows: %q, %v", files, err)
	}
	pinned, builds := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`), regexp.MustCompile(`\b(go|npm|npx|make) `)
	seen := map[string]string{} // for each job with power or an approval: what it may, waits for, and whether a person approves
	for _, file := range files {
		var workflow struct {
			Permissions map[string]string `yaml:"permissions"`
			Jobs        map[string]job    `yaml:"jobs"`
		}
		if err := yaml.Unmarshal([]byte(read(t, file)), &workflow); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if d := cmp.Diff(map[string]string{"contents": "read"}, workflow.Permissions); d != "" {
			t.Errorf("%s: jobs may do more than read unless they say so:\n%s", file, d)
		}
		for name, j := range workflow.Jobs {
			place, powers := strings.TrimSuffix(filepath.Base(file), ".yml")+"/"+name, j.power()
			for _, step := range j.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s: %s may be another tomorrow", place, step.Uses)
				}
				checkout := strings.HasPrefix(step.Uses, "actions/checkout@") && !strings.HasPrefix(place, "infra/") // Terraform's configuration is what it works on
				if len(powers) > 0 && (checkout || builds.MatchString(step.Run)) {
					t.Errorf("%s may %v, and runs %s%s", place, powers, step.Uses, step.Run)
				}
			}
			if len(powers) > 0 || j.Environment != nil {
				seen[place] = fmt.Sprint(powers, " after ", j.Needs, ", approved ", j.Environment != nil)
			}
			if steps := fmt.Sprint(j.Steps); place == "release/check" && (!strings.Contains(steps, "merge-base --is-ancestor") || !strings.Contains(steps, "--workflow ci.yml")) {
				t.Errorf("a tag is not looked at: %s", steps)
			}
			if place == "release/build" && j.Needs != "check" {
				t.Errorf("%s waits for %v", place, j.Needs)
			}
		}
	}
	want := map[string]string{
		"release/publish": "[attestations contents id-token] after build, approved false",
		"deploy/deploy":   "[id-token] after tool, approved true",
		"infra/plan":      "[id-token] after <nil>, approved false",
		"infra/apply":     "[id-token] after plan, approved true",
	}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("jobs with power (-want +seen):\n%s", d)
	}
}
