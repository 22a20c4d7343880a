//go:build linux

package outbound

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

const (
	// window is how much of a secret has to be somewhere for it to be there, in bytes: more than chance makes, and less than a line of PEM.
	window = 16
	// piece is how much is searched at a time, in bytes.
	piece = 1 << 20
	// inflated bounds what is read of one compressed frame, in bytes.
	inflated = 16 << 20
)

// frame is how what zstd has compressed begins.
var frame = []byte{0x28, 0xb5, 0x2f, 0xfd}

// search looks for secrets, raw or in any usual encoding. It finds a part of one as well as the whole.
type search struct {
	// needles are windows of the secrets, by their first eight bytes, and starts says which first two bytes there are, to pass over most quickly.
	needles map[uint64][]needle
	starts  [1 << 16]bool
}

// needle is a window of an encoded secret, and which one.
type needle struct {
	text   []byte
	secret string
}

// add has a secret of this name searched for.
func (s *search) add(name string, secret []byte) {
	if s.needles == nil {
		s.needles = map[uint64][]needle{}
	}
	for _, text := range encodings(secret) {
		for ; len(text) >= window; text = text[window:] {
			key := binary.LittleEndian.Uint64(text)
			s.needles[key] = append(s.needles[key], needle{text[:window], name})
			s.starts[binary.LittleEndian.Uint16(text)] = true
		}
	}
}

// encodings are how a secret may be written. In base64 it may begin anywhere in what is encoded, as a key does in PEM: what is left out are the
// characters at the ends that others have a part in.
func encodings(secret []byte) [][]byte {
	all := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret)))}
	for shift := range 3 {
		padded := append(make([]byte, shift), secret...)
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := e.EncodeToString(padded)
			all = append(all, []byte(text[(shift*8+5)/6:len(padded)*8/6]))
		}
	}
	return all
}

// in answers which secrets are in a text.
func (s *search) in(text []byte) map[string]bool {
	found := map[string]bool{}
	for i := 0; i+window <= len(text); i++ {
		if !s.starts[binary.LittleEndian.Uint16(text[i:])] {
			continue
		}
		for _, n := range s.needles[binary.LittleEndian.Uint64(text[i:])] {
			if bytes.Equal(n.text, text[i:i+window]) {
				found[n.secret] = true
			}
		}
	}
	return found
}

// stream answers which secrets are in what a reader has, piece by piece.
func (s *search) stream(r io.Reader) (map[string]bool, error) {
	found := map[string]bool{}
	buffer := make([]byte, 0, piece)
	for {
		n, err := io.ReadFull(r, buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		for name := range s.in(buffer) {
			found[name] = true
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		// What lies across the end of a piece is found in the next.
		keep := min(window-1, len(buffer))
		buffer = append(buffer[:0], buffer[len(buffer)-keep:]...)
	}
}

// file answers which secrets are in a file, in what it has compressed, too.
func (s *search) file(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := s.in(text)
	for rest := text; ; {
		i := bytes.Index(rest, frame)
		if i < 0 {
			return found, nil
		}
		decoder, err := zstd.NewReader(bytes.NewReader(rest[i:]), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return found, err
		}
		// It may be no frame, or end in the middle of the file: what came out counts.
		plain, _ := io.ReadAll(io.LimitReader(decoder, inflated))
		decoder.Close()
		for name := range s.in(plain) {
			found[name] = true
		}
		rest = rest[i+len(frame):]
	}
}

// folder answers which secrets are in the files of a folder, and how many bytes those are.
func (s *search) folder(dir string) (found map[string]bool, size int64, err error) {
	found = map[string]bool{}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		here, err := s.file(path)
		for name := range here {
			found[name] = true
		}
		return err
	})
	return found, size, err
}

// memory answers which secrets are in a process's memory, and how much that is: all that it has mapped to write to, stacks and heap included.
func (s *search) memory(pid int) (found map[string]bool, size int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, 0, err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, 0, err
	}
	defer mem.Close()
	found = map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		here, err := s.stream(io.NewSectionReader(mem, from, to-from))
		if err != nil && !errors.Is(err, os.ErrInvalid) {
			// What was unmapped since the list was read.
			continue
		}
		size += to - from
		for name := range here {
			found[name] = true
		}
	}
	return found, size, nil
}
