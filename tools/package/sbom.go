package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// bill returns the handler's bill of materials: the modules and the standard library that Go has recorded in the
// binary, so that it lists exactly what the binary contains, with the modules' licences. The same binary gives the
// same text.
func bill(handler built, licences map[string][]string) ([]byte, error) {
	sum := sha256.Sum256(handler.binary)
	main := cyclonedx.Component{
		BOMRef:  handler.info.Main.Path,
		Type:    cyclonedx.ComponentTypeApplication,
		Name:    handler.info.Main.Path,
		Version: version(handler.info.Settings),
		Hashes:  &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
	}
	parts := []cyclonedx.Component{library("std", strings.TrimPrefix(handler.info.GoVersion, "go"), "BSD-3-Clause")}
	for _, module := range handler.info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		parts = append(parts, library(module.Path, module.Version, licences[module.Path]...))
	}
	needs := make([]string, 0, len(parts))
	for _, part := range parts {
		needs = append(needs, part.BOMRef)
	}

	bom := cyclonedx.NewBOM()
	// The document depends only on the binary: its serial number is derived from it, and its time is the commit's.
	bom.SerialNumber = serial([16]byte(sum[:16]))
	bom.Metadata = &cyclonedx.Metadata{
		Component: &main,
		Timestamp: setting(handler.info.Settings, "vcs.time"),
		Tools: &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{
			Type: cyclonedx.ComponentTypeApplication, Name: "userrelay/tools/package", Version: main.Version,
		}}},
	}
	bom.Components = &parts
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &needs}}
	var text bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return nil, fmt.Errorf("write what the handler is made of: %w", err)
	}
	return text.Bytes(), nil
}

// serial makes a UUID of version 8 (RFC 9562), whose bits can be chosen freely.
func serial(id [16]byte) string {
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

// library is a Go module as a part of the handler (package-url/purl-spec, type golang).
func library(path, version string, licences ...string) cyclonedx.Component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	part := cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl,
	}
	if len(licences) > 0 {
		part.Licenses = &cyclonedx.Licenses{}
	}
	for _, id := range licences {
		*part.Licenses = append(*part.Licenses, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: id}})
	}
	return part
}

// setting returns a build setting of the binary, or "".
func setting(settings []debug.BuildSetting, name string) string {
	for _, s := range settings {
		if s.Key == name {
			return s.Value
		}
	}
	return ""
}

// version returns the commit from which the handler was built, marked if files had been changed since then.
func version(settings []debug.BuildSetting) string {
	revision := setting(settings, "vcs.revision")
	if setting(settings, "vcs.modified") == "true" {
		revision += "+changed"
	}
	return revision
}
