package simulation

import "encoding/binary"

// frames finds Kafka requests in the data written on a connection, in pieces of any size.
type frames struct {
	left   int // of the frame that is under way
	header []byte
	last   request // the newest whose header is known
}

// request is the header of a request.
type request struct {
	size         int
	key, version int16
	correlation  int32
	what         string // tells its records from those of others
}

const headerSize = 4 + 2 + 2 + 4

// see reads more bytes. It calls begun with each request whose header is now complete, and its position in the bytes.
func (f *frames) see(b []byte, begun func(r request)) {
	for len(b) > 0 {
		if len(f.header) < headerSize {
			n := min(headerSize-len(f.header), len(b))
			f.header = append(f.header, b[:n]...)
			b = b[n:]
			if len(f.header) < headerSize {
				return
			}
			h := f.header
			f.last = request{
				size: int(binary.BigEndian.Uint32(h)), key: int16(binary.BigEndian.Uint16(h[4:])),
				version: int16(binary.BigEndian.Uint16(h[6:])), correlation: int32(binary.BigEndian.Uint32(h[8:])),
			}
			f.left = f.last.size - (headerSize - 4)
			begun(f.last)
		}
		n := min(max(f.left, 0), len(b))
		f.left -= n
		b = b[n:]
		if f.left <= 0 {
			f.header = f.header[:0]
		}
	}
}
