package simulation

import (
	"bytes"
	"encoding/binary"
)

// frames finds Kafka requests in the data written on a connection, in pieces of any size.
type frames struct {
	left   int // of the frame that is under way
	header []byte
	last   request // the newest whose header is known
}

// request is the header of a request.
type request struct {
	key, version int16
	what         string // tells its records from those of others
}

const (
	headerSize = 4 + 2 + 2 // size, key, version
	produceKey = 0
)

// see reads more bytes, and says whether a request begins with them.
func (f *frames) see(b []byte) (begins bool) {
	for rest := b; len(rest) > 0; {
		if missing := headerSize - len(f.header); missing > 0 {
			n := min(missing, len(rest))
			f.header, rest = append(f.header, rest[:n]...), rest[n:]
			if n < missing {
				break
			}
			f.left = int(binary.BigEndian.Uint32(f.header)) - (headerSize - 4)
			f.last = request{key: int16(binary.BigEndian.Uint16(f.header[4:])), version: int16(binary.BigEndian.Uint16(f.header[6:]))}
			begins = true
		}
		n := min(max(f.left, 0), len(rest))
		f.left, rest = f.left-n, rest[n:]
		if f.left <= 0 {
			f.header = f.header[:0]
		}
	}
	f.last.what += traces(b)
	return begins
}

// traces returns the traces of the records in a request; "" if there are none.
func traces(b []byte) string {
	var sum [32]byte
	for _, after := range bytes.Split(b, []byte("traceparent"))[1:] {
		if len(after) < 40 {
			break
		}
		for i, x := range after[5:37] { // two lengths and the version are before it
			sum[i] = sum[i]*31 + x
		}
	}
	if sum == [32]byte{} {
		return ""
	}
	return string(sum[:])
}
