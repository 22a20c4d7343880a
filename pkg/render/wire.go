package render

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Between the hub and the process that renders, on its standard input and output:
//
//	hub ──▶ job                                what is to be done
//	    ◀── read PATH, list PATH               the process has no files of its own
//	    ──▶ content, entries, problem
//	    ◀── at PATH                            what is being worked at, should it not be heard of again
//	    ◀── file PATH CONTENT …                what came out
//	    ◀── done, or failed                    and it ends
//
// A frame is a byte that says what it is, four that give its length, most significant first, and that many of content.
type frameKind byte

const (
	frameJob     frameKind = 'j' // job, as JSON
	frameRead    frameKind = 'r' // a path
	frameList    frameKind = 'l' // a path
	frameContent frameKind = 'c' // of the file that was asked for
	frameEntries frameKind = 'e' // of the directory, as JSON
	frameProblem frameKind = 'p' // with what was asked for: failure, as JSON
	frameAt      frameKind = 'a' // a path
	frameFile    frameKind = 'f' // two bytes that give the length of the path, the path, the content
	frameDone    frameKind = 'd' // warnings, as JSON
	frameFailed  frameKind = 'x' // failure, as JSON
)

// maxMessage is how long frames may be that carry no content of files: paths are at most 4 KiB, a job with its values may be larger.
const maxMessage = 2 << 20

// wire is one end. It belongs to one goroutine.
type wire struct {
	in  *bufio.Reader
	out *bufio.Writer
	// max is how long a frame may be that comes in.
	max int
}

func newWire(in io.Reader, out io.Writer, max int) *wire {
	return &wire{in: bufio.NewReaderSize(in, 64<<10), out: bufio.NewWriterSize(out, 64<<10), max: max + maxMessage}
}

// send writes a frame, and what was written before.
func (w *wire) send(kind frameKind, content []byte) error {
	if err := w.write(kind, content); err != nil {
		return err
	}
	return w.out.Flush()
}

func (w *wire) sendJSON(kind frameKind, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.send(kind, content)
}

func (w *wire) write(kind frameKind, parts ...[]byte) error {
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	head := binary.BigEndian.AppendUint32([]byte{byte(kind)}, uint32(length))
	for _, part := range append([][]byte{head}, parts...) {
		if _, err := w.out.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// receive reads a frame. Its end is io.EOF only between two.
func (w *wire) receive() (frameKind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return 0, nil, err
	}
	length := int(binary.BigEndian.Uint32(head[1:]))
	if length > w.max {
		return 0, nil, fmt.Errorf("a frame of %d bytes: %w", length, ErrLimit)
	}
	content := make([]byte, length)
	if _, err := io.ReadFull(w.in, content); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return frameKind(head[0]), content, nil
}

func (w *wire) writeFile(name string, data []byte) error {
	return w.write(frameFile, binary.BigEndian.AppendUint16(nil, uint16(len(name))), []byte(name), data)
}

// splitFile takes the content of a frameFile apart.
func splitFile(content []byte) (name string, data []byte, err error) {
	if len(content) < 2 {
		return "", nil, io.ErrUnexpectedEOF
	}
	length := int(binary.BigEndian.Uint16(content))
	if content = content[2:]; len(content) < length {
		return "", nil, io.ErrUnexpectedEOF
	}
	return string(content[:length]), content[length:], nil
}
