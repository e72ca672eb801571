package faultproxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	bufferSize   = 32 << 10
	maxFrame     = 128 << 20 // Kafka's socket.request.max.bytes is 100 MiB
	answerHeader = 8         // length, correlation id
	minRequest   = 8         // kind, version, correlation id
)

var errMalformed = errors.New("not Kafka's protocol")

// request is a complete Kafka request, or the received bytes.
type request struct {
	data []byte // valid until the next read
	key  int16
	id   int32 // correlation id
}

// readRequest reads the next request; buf is reused when it is large enough.
func readRequest(r *bufio.Reader, f Framing, buf []byte) (request, error) {
	if f == Bytes {
		data, err := readAvailable(r, buf)
		return request{data: data, key: Any}, err
	}
	head, err := r.Peek(4)
	if err != nil {
		return request{}, err
	}
	size := binary.BigEndian.Uint32(head)
	if size < minRequest || size > maxFrame {
		return request{}, fmt.Errorf("a request of %d bytes: %w", size, errMalformed)
	}
	n := 4 + int(size)
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		return request{}, err
	}
	return request{
		data: buf,
		key:  int16(binary.BigEndian.Uint16(buf[4:])),
		id:   int32(binary.BigEndian.Uint32(buf[8:])),
	}, nil
}

// answerReader splits the target's data into pieces, none of which has bytes of two Kafka answers.
type answerReader struct {
	r       *bufio.Reader
	framing Framing
	id      int32 // of the answer that is being read
	left    int   // bytes of it
}

// next reads a piece. first and last say whether an answer begins and ends with it.
func (a *answerReader) next() (data []byte, first, last bool, err error) {
	if a.framing == Bytes {
		data, err = readAvailable(a.r, nil)
		return data, true, true, err
	}
	if a.left == 0 {
		head, err := a.r.Peek(answerHeader)
		if err != nil {
			return nil, false, false, err
		}
		size := binary.BigEndian.Uint32(head)
		if size < answerHeader-4 || size > maxFrame {
			return nil, false, false, fmt.Errorf("an answer of %d bytes: %w", size, errMalformed)
		}
		a.left = 4 + int(size)
		a.id = int32(binary.BigEndian.Uint32(head[4:]))
		first = true
	}
	data = make([]byte, min(a.left, bufferSize))
	if _, err := io.ReadFull(a.r, data); err != nil {
		return nil, false, false, err
	}
	a.left -= len(data)
	return data, first, a.left == 0, nil
}

// readAvailable waits for bytes and reads all available ones.
func readAvailable(r *bufio.Reader, buf []byte) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	n := r.Buffered()
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}
