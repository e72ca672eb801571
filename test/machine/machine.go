// Package machine describes the machine of a benchmark or a drill.
package machine

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// Words describes the machine: cores, memory, system.
func Words() string {
	s := fmt.Sprintf("%d cores", runtime.NumCPU())
	if n := memory(); n > 0 {
		s += fmt.Sprintf(", %.0f GiB of memory", math.Round(float64(n)/(1<<30)))
	}
	return s + ", " + runtime.GOOS + "/" + runtime.GOARCH
}

// memory returns the machine's memory in bytes, or 0 if unknown.
func memory() int64 {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(info) {
		fields := bytes.Fields(line)
		if len(fields) < 2 || string(fields[0]) != "MemTotal:" {
			continue
		}
		kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}

// Load returns the average number of running and waiting processes in the last minute, or 0 if unknown.
func Load() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := bytes.Cut(text, []byte(" "))
	load, err := strconv.ParseFloat(string(first), 64)
	if err != nil {
		return 0
	}
	return load
}

var kafkaJar = regexp.MustCompile(`^kafka_[\d.]+-(\d+\.\d+\.\d+)\.jar$`)

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
	jars, err := filepath.Glob(filepath.Join(kafkaHome, "libs", "kafka_*.jar"))
	if err != nil {
		return nil, fmt.Errorf("look for Kafka's version: %w", err)
	}
	for _, jar := range jars {
		if m := kafkaJar.FindStringSubmatch(filepath.Base(jar)); m != nil {
			all = append(all, "Apache Kafka "+m[1])
		}
	}
	return all, nil
}
