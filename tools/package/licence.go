package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// licences returns the SPDX ids of each module's licences, as far as they can be recognised from the text. It reads
// the module cache, which has the modules because the handler was built from them.
func licences(ctx context.Context, root string) (map[string][]string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}", "all")
	list.Dir = root
	list.Env = append(list.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list the modules: %w", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		path, folder, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if folder == "" {
			continue // not needed by the handler
		}
		files, err := filepath.Glob(filepath.Join(folder, "LICEN[SC]E*"))
		if err != nil || len(files) == 0 {
			continue
		}
		text, err := os.ReadFile(files[0])
		if err != nil {
			return nil, fmt.Errorf("read a licence: %w", err)
		}
		all[path] = licencesIn(string(text))
	}
	return all, nil
}

// licencesIn recognises a licence by a sentence that no other licence has.
func licencesIn(text string) (ids []string) {
	text = strings.Join(strings.Fields(text), " ")
	has := func(sentence string) bool { return strings.Contains(text, sentence) }
	if has("Redistribution and use in source and binary forms") {
		if has("Neither the name") || has("may not be used to endorse") || has("may be used to endorse") {
			ids = append(ids, "BSD-3-Clause")
		} else {
			ids = append(ids, "BSD-2-Clause")
		}
	}
	if has("Permission is hereby granted, free of charge") {
		ids = append(ids, "MIT")
	}
	if has("Apache License Version 2.0") {
		ids = append(ids, "Apache-2.0")
	}
	return ids
}
