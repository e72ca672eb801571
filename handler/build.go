package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"runtime/debug"

	"userrelay/handler/functions"
)

// buildVersion is the version of the program: its module version where it was installed as one, else its commit.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if revision, _ := commit(info.Settings); len(revision) >= 12 {
		return revision[:12]
	}
	return info.Main.Version
}

// thisBuild says which program this is. It reads the program's file.
func thisBuild() functions.Build {
	var b functions.Build
	if info, ok := debug.ReadBuildInfo(); ok {
		revision, changed := commit(info.Settings)
		if b.Commit = revision; changed {
			b.Commit += "+changed"
		}
	}
	if path, err := os.Executable(); err == nil {
		b.SHA256, _ = checksum(path) // whoever asks sees that it is missing
	}
	return b
}

// commit is the one that the program was built of. changed says that files had been changed since.
func commit(settings []debug.BuildSetting) (revision string, changed bool) {
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	return revision, changed
}

// checksum is the SHA-256 of a file, in hexadecimal digits.
func checksum(path string) (_ string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
