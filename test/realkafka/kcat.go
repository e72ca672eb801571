package realkafka

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// kcatLine is what kcat -J prints for a record. A header is two elements: its key, its value.
type kcatLine struct {
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Millis    int64     `json:"ts"`
	Headers   []*string `json:"headers"`
	Key       *string   `json:"key"`
	Payload   *string   `json:"payload"`
}

// ReadKcat reads all records that a topic holds, through kcat and so through librdkafka, by partition and offset.
// The brokers must let clients in without TLS and login. Where kcat is not installed the error is exec.ErrNotFound;
// its build must have JSON, as Debian's has. A header key with a zero byte is cut there.
func ReadKcat(ctx context.Context, brokers []string, topic string) ([]Record, error) {
	// -J and not -f: the text formats leave headers that hold commas or equals signs ambiguous.
	cmd := exec.CommandContext(ctx, "kcat", "-C", "-b", strings.Join(brokers, ","), "-t", topic, //nolint:gosec // G204: a test's own topic
		"-o", "beginning", "-e", "-q", "-J", "-X", "fetch.wait.max.ms=50")
	cmd.SysProcAttr = childAttr()
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("connect to kcat: %w", err)
	}
	runtime.LockOSThread() // until kcat is gone: see the package comment
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start kcat: %w", err)
	}
	records, err := parseKcat(stdout)
	if err != nil {
		_ = cmd.Process.Kill() // it may be blocked on the pipe; what went wrong is err
	}
	if werr := cmd.Wait(); err == nil && werr != nil {
		err = errors.Join(werr, ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("read topic %s with kcat: %w: %s", topic, err, bytes.TrimSpace(stderr.Bytes()))
	}
	sortRecords(records)
	return records, nil
}

func parseKcat(r io.Reader) ([]Record, error) {
	var records []Record
	lines := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return records, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read its output: %w", err)
		}
		var l kcatLine
		if err := json.Unmarshal(widen(line), &l); err != nil {
			return nil, fmt.Errorf("decode its output: %w", err)
		}
		rec := Record{
			Partition: l.Partition, Offset: l.Offset, Timestamp: time.UnixMilli(l.Millis).UTC(),
			Key: narrow(l.Key), Value: narrow(l.Payload),
		}
		for i := 0; i+1 < len(l.Headers); i += 2 {
			rec.Headers = append(rec.Headers, Header{Key: string(narrow(l.Headers[i])), Value: narrow(l.Headers[i+1])})
		}
		records = append(records, rec)
	}
}

// kcat writes keys, values and headers between the quotes as they are, UTF-8 or not, and escapes only what JSON must
// have escaped. So widen has the decoder see every byte as the character of that number, and narrow takes it back.
func widen(line []byte) []byte {
	wide := make([]byte, 0, len(line)+len(line)/8)
	for _, b := range line {
		wide = append(wide, string(rune(b))...)
	}
	return wide
}

func narrow(s *string) []byte {
	if s == nil {
		return nil
	}
	b := make([]byte, 0, len(*s))
	for _, r := range *s {
		b = append(b, byte(r))
	}
	return b
}
