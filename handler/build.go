package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"runtime/debug"

	"userrelay/handler/functions"
)

// buildVersion is the version of the program: the module version if it was installed as a module, else the commit.
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

// thisBuild identifies this program by its commit and the checksum of its file, which it reads.
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

// commit is the commit that the program was built from. changed says that files had been changed since then.
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
