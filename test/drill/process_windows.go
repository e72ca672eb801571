package main

import (
	"errors"
	"os"
)

func halt(*os.Process) error   { return errors.ErrUnsupported }
func resume(*os.Process) error { return errors.ErrUnsupported }

func descriptors() (int, error) { return 0, errors.ErrUnsupported }
