package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A file is magic and then frames, one for each batch:
//
//	4 bytes  length of the body      little endian
//	4 bytes  CRC-32C of the body     little endian
//	4 bytes  CRC-32C of these 8      little endian
//	body     the batch's records, each after its length as an unsigned varint
//
// A frame is written after the one before it has been synced. So only the last one can be incomplete after a crash, and
// a broken one that an intact one follows was complete once: then records are missing that somebody counts on.
const (
	magic      = "userrelay queue journal 1\n"
	headerSize = 12
)

var (
	errNoJournal = errors.New("the file is not a journal, or of another version")
	errBroken    = errors.New("a broken batch")
)

func checksum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// newFrame returns a frame without records.
func newFrame() []byte { return make([]byte, headerSize) }

func appendRecord(frame, record []byte) []byte {
	frame = binary.AppendUvarint(frame, uint64(len(record)))
	return append(frame, record...)
}

// seal writes the header of a frame that has all its records.
func seal(frame []byte) {
	body := frame[headerSize:]
	binary.LittleEndian.PutUint32(frame, uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[4:], checksum(body))
	binary.LittleEndian.PutUint32(frame[8:], checksum(frame[:8]))
}

// header is a frame's header.
type header struct {
	length int64
	sum    uint32
}

// parseHeader reports whether b begins with a header.
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < headerSize || checksum(b[:8]) != binary.LittleEndian.Uint32(b[8:]) {
		return header{}, false
	}
	return header{int64(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint32(b[4:])}, true
}

// load opens a file, or makes it, and hands its records to replay. The file is at its end, ready to be written, and has
// the returned size.
func load(path string, replay func([]byte) error) (file *os.File, size int64, err error) {
	file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open the journal: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("read the journal: %w", err), file.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	end, err := scan(file, info.Size(), replay)
	if err != nil {
		return nil, 0, err
	}
	if end < info.Size() {
		if err := file.Truncate(end); err != nil {
			return nil, 0, err
		}
	}
	if _, err := file.Seek(end, io.SeekStart); err != nil {
		return nil, 0, err
	}
	if end == 0 {
		if _, err := file.WriteString(magic); err != nil {
			return nil, 0, err
		}
		end = int64(len(magic))
	}
	return file, end, file.Sync()
}

// scan hands the records of a file to replay and returns where the last intact frame ends; 0 if not even magic is whole.
func scan(file io.ReaderAt, size int64, replay func([]byte) error) (end int64, err error) {
	begin := make([]byte, min(size, int64(len(magic))))
	if _, err := file.ReadAt(begin, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if string(begin) != magic[:len(begin)] {
		return 0, errNoJournal
	}
	if len(begin) < len(magic) {
		return 0, nil
	}
	for end = int64(len(magic)); end < size; {
		body, err := readFrame(file, end, size)
		if errors.Is(err, errBroken) {
			return end, nothingAfter(file, end, size)
		}
		if err != nil {
			return 0, err
		}
		end += headerSize + int64(len(body))
		if err := each(body, replay); err != nil {
			return 0, fmt.Errorf("before byte %d: %w", end, err)
		}
	}
	return end, nil
}

// readFrame returns the body of the frame at an offset; errBroken if it is not intact.
func readFrame(file io.ReaderAt, at, size int64) (body []byte, err error) {
	var begin [headerSize]byte
	if size-at < headerSize {
		return nil, errBroken
	}
	if _, err := file.ReadAt(begin[:], at); err != nil {
		return nil, err
	}
	h, ok := parseHeader(begin[:])
	if !ok || h.length > size-at-headerSize {
		return nil, errBroken
	}
	body = make([]byte, h.length)
	if _, err := file.ReadAt(body, at+headerSize); err != nil {
		return nil, err
	}
	if checksum(body) != h.sum {
		return nil, errBroken
	}
	return body, nil
}

// nothingAfter returns an error if there is an intact frame somewhere after a broken one.
func nothingAfter(file io.ReaderAt, broken, size int64) error {
	rest := make([]byte, size-broken)
	if _, err := file.ReadAt(rest, broken); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for i := 1; i+headerSize <= len(rest); i++ {
		h, ok := parseHeader(rest[i:])
		if !ok || h.length > int64(len(rest)-i-headerSize) {
			continue
		}
		if checksum(rest[i+headerSize:][:h.length]) == h.sum {
			return fmt.Errorf("%w at byte %d, with an intact one after it at byte %d: the file is damaged",
				errBroken, broken, broken+int64(i))
		}
	}
	return nil
}

// each hands the records of a frame's body to replay.
func each(body []byte, replay func([]byte) error) error {
	for len(body) > 0 {
		length, n := binary.Uvarint(body)
		if n <= 0 || length > uint64(len(body)-n) {
			return errors.New("a record longer than its batch")
		}
		if err := replay(body[n:][:length]); err != nil {
			return err
		}
		body = body[n:][length:]
	}
	return nil
}
