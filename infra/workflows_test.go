package infra_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

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

func workflows(t *testing.T) map[string]map[string]job {
	t.Helper()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 5 {
		t.Fatalf("workflows: %q, %v", files, err)
	}
	all := map[string]map[string]job{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var workflow struct {
			Permissions map[string]string `yaml:"permissions"`
			Jobs        map[string]job    `yaml:"jobs"`
		}
		if err := yaml.Unmarshal(text, &workflow); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !maps.Equal(workflow.Permissions, map[string]string{"contents": "read"}) {
			t.Errorf("%s: jobs may do more than read unless they say so: %v", file, workflow.Permissions)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yml")] = workflow.Jobs
	}
	return all
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

// What may write or sign runs neither tests nor builds: they bring code of others along.
func TestWorkflowsKeepPowerFromCode(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for workflow, jobs := range workflows(t) {
		for name, j := range jobs {
			for _, step := range j.Steps {
				if step.Uses != "" && !regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`).MatchString(step.Uses) {
					t.Errorf("%s/%s: %s may be another tomorrow", workflow, name, step.Uses)
				}
			}
			powers := j.power()
			if len(powers) == 0 {
				continue
			}
			seen[workflow+"/"+name] = fmt.Sprint(powers)
			for _, step := range j.Steps {
				checkout := strings.HasPrefix(step.Uses, "actions/checkout@") && workflow != "infra" // Terraform's configuration is what it works on
				if checkout || regexp.MustCompile(`\b(go|npm|npx|make) `).MatchString(step.Run) {
					t.Errorf("%s/%s may %v, and runs %s%s", workflow, name, powers, step.Uses, step.Run)
				}
			}
		}
	}
	want := map[string]string{
		"release/publish": "[attestations contents id-token]",
		"deploy/deploy":   "[id-token]",
		"infra/plan":      "[id-token]",
		"infra/apply":     "[id-token]",
	}
	if !maps.Equal(seen, want) {
		t.Errorf("jobs with power are %v, want %v", seen, want)
	}
}

// A release is of a commit that has passed ci on main, and what is deployed or applied was approved.
func TestWorkflowsWait(t *testing.T) {
	t.Parallel()
	all := workflows(t)
	for place, want := range map[string]any{"release/build": "check", "release/publish": "build", "deploy/deploy": "tool", "infra/apply": "plan"} {
		workflow, name, _ := strings.Cut(place, "/")
		if got := all[workflow][name].Needs; got != want {
			t.Errorf("%s waits for %v, want %v", place, got, want)
		}
	}
	for _, j := range []job{all["deploy"]["deploy"], all["infra"]["apply"]} {
		if j.Environment == nil {
			t.Error("nobody approves")
		}
	}
	var steps []string
	for _, step := range all["release"]["check"].Steps {
		steps = append(steps, step.Run)
	}
	check := strings.Join(steps, "\n")
	if !strings.Contains(check, "merge-base --is-ancestor") || !strings.Contains(check, "--workflow ci.yml") {
		t.Errorf("a tag is not looked at: %s", check)
	}
}
