package git

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	packBlob     = 3
	packOffDelta = 6
)

// packObject is one as packs have them, with the length that it says it has.
func packObject(kind byte, length int, prefix, content []byte) []byte {
	var out bytes.Buffer
	first := kind<<4 | byte(length&0x0f)
	for length >>= 4; length > 0; length >>= 7 {
		out.WriteByte(first | 0x80)
		first = byte(length & 0x7f)
	}
	out.WriteByte(first)
	out.Write(prefix)
	w := zlib.NewWriter(&out)
	_, _ = w.Write(content)
	_ = w.Close()
	return out.Bytes()
}

// packOf is a pack of objects, which says how many it has.
func packOf(says uint32, objects ...[]byte) []byte {
	out := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("PACK"), 2), says)
	out = append(out, bytes.Join(objects, nil)...)
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}

// delta makes of a base of so many bytes one that is said to have size bytes, by copying the base over and over.
func delta(base, size int) []byte {
	out := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(base)), uint64(size))
	for n := 0; n < size; n += base {
		out = append(out, 0x80|0x10|0x20, byte(base), byte(base>>8))
	}
	return out
}

// bomb is a pack of a few hundred KB that unpacks to as many GB: each delta makes a file of 32 MiB out of one of 32 KiB.
func bomb(files int) []byte {
	const base = 32 << 10
	blob := packObject(packBlob, base, nil, make([]byte, base))
	objects := [][]byte{blob}
	at := 12 + len(blob)
	d := delta(base, 32<<20)
	for range files {
		back := at - 12 // where the base is, from here: in the form of packs
		offset := []byte{byte(back & 0x7f)}
		for back >>= 7; back > 0; back >>= 7 {
			back--
			offset = append([]byte{0x80 | byte(back&0x7f)}, offset...)
		}
		o := packObject(packOffDelta, len(d), offset, d)
		objects = append(objects, o)
		at += len(o)
	}
	return packOf(uint32(len(objects)), objects...)
}

// serves has a server send a pack of ours, whatever it was asked for.
func (w *world) serves(pack []byte) {
	inner := w.server.Config.Handler
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			inner.ServeHTTP(rw, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		out := pktline.NewEncoder(rw)
		_ = out.EncodeString("shallow " + w.Git("rev-parse", "HEAD") + "\n")
		_ = out.Flush()
		_ = out.EncodeString("NAK\n")
		for part := range slices.Chunk(pack, 32<<10) {
			_ = out.Encode(append([]byte{1}, part...))
		}
		_ = out.Flush()
	})
}

// TestHostilePacks receives packs that stand for more than a repository may have. None of them is unpacked, and nothing is kept.
func TestHostilePacks(t *testing.T) {
	small := []byte("apiVersion: v1\n")
	for _, test := range []struct {
		name, says string
		pack       []byte
	}{
		{"deltas that make gigabytes", "unpacks to more than 1073741824 bytes", bomb(40)},
		{"a delta that makes a terabyte", "has a file of more than", packOf(2, packObject(packBlob, len(small), nil, small),
			packObject(packOffDelta, 20, []byte{byte(len(packObject(packBlob, len(small), nil, small)))}, binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(small))), 1<<40)))},
		{"a file that says it is large", "has a file of more than", packOf(1, packObject(packBlob, 1<<40, nil, small))},
		{"more files than there may be", "more than 1000000 files and directories", packOf(1<<31, packObject(packBlob, len(small), nil, small))},
		{"a file that is larger than it says", "cannot be read", packOf(1, packObject(packBlob, 1, nil, small))},
		{"a delta that says nothing", "cannot be read", packOf(2, packObject(packBlob, len(small), nil, small), packObject(packOffDelta, 1, []byte{byte(len(packObject(packBlob, len(small), nil, small)))}, []byte{0x80}))},
		{"one that is cut off", "cannot be read", bomb(1)[:100]},
		{"none at all", "cannot be read", []byte("no pack, but some bytes that pretend to be one")},
	} {
		w := newWorld(t)
		w.Commit("first", "a.yaml", "one")
		w.cache.MaxSize = 64 << 20
		w.serves(test.pack)
		err := w.refused(nil)
		reason := yardarmv1.SourceTooLarge
		if strings.Contains(test.says, "read") {
			reason = yardarmv1.SourceUnreachable
		}
		if err.Reason != reason || !strings.Contains(err.Message, test.says) {
			t.Errorf("%s: %s: %s", test.name, err.Reason, err.Message)
		}
		if size := w.sizeIfAny(); size > 1<<20 {
			t.Errorf("%s: %d bytes are kept", test.name, size)
		}
	}
}

func (w *world) sizeIfAny() int64 {
	w.Helper()
	if _, err := os.Stat(w.cache.Dir); errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	return w.cacheSize()
}

// Git's own packs are bounded by what they unpack to, too.
func TestInflatedRepository(t *testing.T) {
	w := newWorld(t)
	w.Commit("zeros", "zeros", string(make([]byte, 2<<20)))
	w.cache.MaxSize = 100_000
	if err := w.refused(nil); err.Reason != yardarmv1.SourceTooLarge || !strings.Contains(err.Message, "unpacks to more than 1600000 bytes") {
		t.Errorf("%s: %s", err.Reason, err.Message)
	}
	w.cache.MaxSize = 1_000_000
	w.fetch(nil)
}
