//go:build !linux

package child

import (
	"errors"
	"time"
)

// CPU returns [errors.ErrUnsupported].
func (*Process) CPU() (time.Duration, error) { return 0, errors.ErrUnsupported }
