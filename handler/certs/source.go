package certs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
)

const maxFile = 1 << 20 // bytes; the largest CA bundles have a quarter of that

// source is where a text comes from: the setting itself, or a file that the setting names.
type source struct {
	text string
	path string // "" where the setting is the text
}

func sourceOf(value string) source {
	if value == "" {
		return source{}
	}
	if text := clean(value); looksLikePEM(text) {
		return source{text: text}
	}
	return source{path: trim(value)}
}

// read returns the text. The error is a sentence for an operator. It does not repeat the path, because the value could
// be a secret that was entered by mistake.
func (s source) read() (string, error) {
	if s.path == "" {
		return s.text, nil
	}
	info, err := os.Stat(s.path) // before opening it: opening a pipe would block until somebody writes
	switch {
	case err != nil:
		return "", openRule(err)
	case info.IsDir():
		return "", errors.New("is the path of a folder: name the file in it")
	case !info.Mode().IsRegular():
		return "", errors.New("is not the path of an ordinary file")
	}
	f, err := os.Open(s.path)
	if err != nil {
		return "", openRule(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return "", errUnreadable
	case len(text) > maxFile:
		return "", errors.New("is the path of a file of more than 1 MiB, which is neither a certificate nor a key: name another one")
	case strings.TrimSpace(string(text)) == "":
		return "", errors.New("is the path of an empty file: write the PEM text into it")
	}
	return clean(string(text)), nil
}

var errUnreadable = errors.New("is the path of a file that cannot be read: check its file system")

func openRule(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return errors.New("is the path of a file that this program may not read: give its user the right to")
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("is not PEM text, which begins with -----BEGIN, and no file of that name exists: check the path, which is relative to the folder in which the program runs, in Azure the app's")
	default:
		return errors.New("is neither PEM text, which begins with -----BEGIN, nor the path of a file that can be opened")
	}
}
