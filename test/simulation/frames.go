package simulation

import "encoding/binary"

// frames finds the requests of Kafka's protocol in what is written on a connection, in whatever pieces.
type frames struct {
	left   int // of the frame that is under way
	header []byte
	last   request // the newest whose header is known
}

// request is what the header of a request says.
type request struct {
	size         int
	key, version int16
	correlation  int32
	what         string // tells its records from those of others
}

const headerSize = 4 + 2 + 2 + 4

// see reads on. It calls begun for each request whose header is complete with these bytes, and where in them it is.
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
