// Package machine describes the machine of a benchmark or a drill.
package machine

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Words describes the machine: cores, memory, system. What it cannot find out it leaves out.
func Words() string {
	s := fmt.Sprintf("%d cores", runtime.NumCPU())
	var kib float64
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		if _, err := fmt.Sscanf(string(info), "MemTotal: %f", &kib); err == nil {
			s += fmt.Sprintf(", %.0f GiB of memory", kib/(1<<20))
		}
	}
	return s + ", " + runtime.GOOS + "/" + runtime.GOARCH
}

// Load returns the average number of running and waiting processes in the last minute, or 0 if unknown.
func Load() (load float64) {
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &load) // 0 then
	}
	return load
}

// Versions lists the versions that matter for figures: Go, the libraries of the programs, and the Kafka in kafkaHome,
// "" for none.
func Versions(kafkaHome string, programs ...string) ([]string, error) {
	all := []string{runtime.Version()}
	names := map[string]string{
		"github.com/segmentio/kafka-go":      "kafka-go",
		"github.com/twmb/franz-go":           "franz-go",
		"github.com/twmb/franz-go/pkg/kfake": "kfake",
	}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return nil, fmt.Errorf("read the versions of the libraries: %w", err)
		}
		for _, dep := range info.Deps {
			name := names[dep.Path] + " " + dep.Version
			if names[dep.Path] != "" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	if kafkaHome == "" {
		return all, nil
	}
	jars, err := filepath.Glob(filepath.Join(kafkaHome, "libs", "kafka-clients-*.jar"))
	if err != nil {
		return nil, fmt.Errorf("look for Kafka's version: %w", err)
	}
	for _, jar := range jars {
		all = append(all, "Apache Kafka "+strings.TrimSuffix(strings.TrimPrefix(filepath.Base(jar), "kafka-clients-"), ".jar"))
	}
	return all, nil
}
