package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
)

// state has the event ids that were delivered, by this run or, with a file, by an earlier one, and the offset of the
// Events API before which all were delivered. The file has one id or offset a line: hashes, not users.
type state struct {
	mu      sync.Mutex
	ids     map[string]bool
	at      string   // offset, "" if there is none
	failure error    // of writing an offset
	file    *os.File // nil: none
}

// openState reads the file of that name, which may not exist yet. "" means no file.
func openState(name string) (*state, error) {
	s := &state{ids: map[string]bool{}}
	if name == "" {
		return s, nil
	}
	err := s.read(name)
	if err == nil {
		s.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return s, nil
}

func (s *state) read(name string) error {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	if !regexp.MustCompile(`^((a0pur_[0-9a-f]{32}|offset [!-~]+)\r?\n)*(a0?p?u?r?_?[0-9a-f]{0,32}|of?f?s?e?t?( [!-~]*)?)?$`).Match(text) {
		return errors.New("the file has other content; use a state file of this program, or a new one")
	}
	for line := range strings.Lines(string(whole)) {
		line = strings.TrimSpace(line)
		if offset, ok := strings.CutPrefix(line, "offset "); ok {
			s.at = offset
			continue
		}
		s.ids[line] = true
	}
	if len(whole) < len(text) {
		// A killed run may have left an incomplete line, which must not become the beginning of the next one.
		return os.Truncate(name, int64(len(whole)))
	}
	return nil
}

// has says whether the id was delivered.
func (s *state) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[id]
}

// add notes that the id was delivered.
func (s *state) add(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[id] = true
	if s.file == nil {
		return nil
	}
	if _, err := s.file.WriteString(id + "\n"); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}

// offset returns the offset up to which all were delivered, or "".
func (s *state) offset() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// reach notes that all were delivered up to an offset. close returns an error if writing that failed.
func (s *state) reach(offset string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil || offset == s.at {
		return
	}
	s.at = offset
	if _, err := s.file.WriteString("offset " + offset + "\n"); err != nil {
		s.failure = fmt.Errorf("write the state: %w", err)
	}
}

func (s *state) close() error {
	if s.file == nil || s.failure != nil {
		return s.failure
	}
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close the state: %w", err)
	}
	return nil
}
