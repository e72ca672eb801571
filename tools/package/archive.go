package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
)

// handlerPath is the handler's path, as in host.json.
const handlerPath = "bin/handler"

// file is a file of the package.
type file struct {
	name       string // with slashes
	content    []byte
	executable bool
}

// mode is the file's mode on Linux, on whatever system the package is made. The handler needs the execute bit to
// start, and the read bit for the host.
func (f file) mode() fs.FileMode {
	if f.executable {
		return 0o755
	}
	return 0o644
}

// appFiles returns the app's files other than the handler: host.json, and function.json of each function.
func appFiles(root string) ([]file, error) {
	host, err := text(root, "host.json")
	if err != nil {
		return nil, err
	}
	var settings struct {
		CustomHandler struct {
			Description struct {
				DefaultExecutablePath string `json:"defaultExecutablePath"`
			} `json:"description"`
		} `json:"customHandler"`
	}
	if err := json.Unmarshal(host.content, &settings); err != nil {
		return nil, fmt.Errorf("read host.json: %w", err)
	}
	if path := settings.CustomHandler.Description.DefaultExecutablePath; path != handlerPath {
		return nil, fmt.Errorf("host.json: customHandler.description.defaultExecutablePath is %q, and the handler would lie in %s", path, handlerPath)
	}
	functions, err := filepath.Glob(filepath.Join(root, "*", "function.json"))
	if err != nil {
		return nil, fmt.Errorf("look for functions: %w", err)
	}
	if len(functions) == 0 {
		return nil, errors.New("no folder has a function.json")
	}
	files := []file{host}
	for _, path := range functions { // Glob returns them in order
		f, err := text(root, filepath.Base(filepath.Dir(path))+"/function.json")
		if err != nil {
			return nil, err
		}
		var function struct {
			Bindings []any `json:"bindings"`
		}
		if err := json.Unmarshal(f.content, &function); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.name, err)
		}
		if len(function.Bindings) == 0 {
			return nil, fmt.Errorf("%s has no bindings", f.name)
		}
		files = append(files, f)
	}
	return files, nil
}

// text reads a text file with Linux line ends, so that a checkout on Windows makes the same package.
func text(root, name string) (file, error) {
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return file{}, fmt.Errorf("read the app (run this in the project's folder, the one with host.json): %w", err)
	}
	return file{name: name, content: bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))}, nil
}

// archived returns a reproducible zip of the files.
func archived(files []file) ([]byte, error) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
		header.SetMode(f.mode())
		entry, err := w.CreateHeader(header)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
		if _, err := entry.Write(f.content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("finish the package: %w", err)
	}
	return archive.Bytes(), nil
}
