package manifest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxDecoded bounds what any received content may expand to, whatever size the sender announced: the default limit of an artifact.
	maxDecoded = defaultBytes
	// maxWindow bounds how far back a frame may refer, and with it the decoder's memory. Frames made here need no more than their
	// content has.
	maxWindow = defaultBytes
)

// Errors of the transport encodings.
var (
	// ErrTooLarge says that content exceeds a fixed limit of an encoding.
	ErrTooLarge = errors.New("content is too large")
	// ErrCorrupt says that encoded content cannot be decoded, or does not have the announced size.
	ErrCorrupt = errors.New("encoded content is corrupt")
)

// Compress returns target as one zstd frame, for content that goes to clusters without a base, and for what a hub keeps on disk. Safe for concurrent
// use.
func Compress(target []byte) []byte { return compress(&encoders, target) }

// CompressFast is Compress in less time and a third of the memory, for what a spoke keeps of content that came as a delta: that is done for each change,
// and nothing but its own disk has to do with how small it gets. Safe for concurrent use.
func CompressFast(target []byte) []byte { return compress(&fastEncoders, target) }

func compress(pool *sync.Pool, target []byte) []byte {
	encoder := pool.Get().(*zstd.Encoder)
	defer pool.Put(encoder)
	return encoder.EncodeAll(target, nil)
}

// Decompress is the inverse of [Compress] and of [CompressFast]. size is what the sender announced: data that expands to anything else is refused with [ErrCorrupt],
// without expanding it further, and a size beyond 64 MiB with [ErrTooLarge]. It checks no content; that is what digests are for. Safe for
// concurrent use.
func Decompress(data []byte, size int) ([]byte, error) { return DecompressTo(nil, data, size) }

// DecompressTo is Decompress into the memory of dst, if that has room.
func DecompressTo(dst, data []byte, size int) ([]byte, error) {
	decoder := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(decoder)
	return decode(decoder, dst, data, size)
}

// encoders and decoders hold the state that is expensive to set up: hash tables of about a megabyte, decoding buffers. Idle ones are
// left to the garbage collector.
var (
	encoders     = sync.Pool{New: func() any { return newEncoder(zstd.SpeedDefault) }}
	fastEncoders = sync.Pool{New: func() any { return newEncoder(zstd.SpeedFastest) }}
	decoders     = sync.Pool{New: func() any { return must(zstd.NewReader(nil, decoderOptions()...)) }}
)

func newEncoder(level zstd.EncoderLevel) *zstd.Encoder {
	return must(zstd.NewWriter(nil, append(encoderOptions(), zstd.WithEncoderLevel(level))...))
}

func encoderOptions() []zstd.EOption {
	return []zstd.EOption{
		zstd.WithEncoderConcurrency(1), // callers bring their own goroutines
		zstd.WithEncoderCRC(false),     // digests guard content; four bytes are a tenth of a small delta
		zstd.WithSingleSegment(true),   // the decoder needs all content in memory anyway
		zstd.WithZeroFrames(true),      // so that empty content is a frame, too
	}
}

func decoderOptions() []zstd.DOption {
	return []zstd.DOption{
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(maxDecoded),
		zstd.WithDecoderMaxWindow(maxWindow),
		zstd.WithDecodeAllCapLimit(true),
	}
}

// decode expands data to exactly size bytes, into the memory of dst if that has room.
func decode(decoder *zstd.Decoder, dst, data []byte, size int) ([]byte, error) {
	if size < 0 || size > maxDecoded {
		return nil, fmt.Errorf("decode content of %d bytes: %w", size, ErrTooLarge)
	}
	if cap(dst) < size {
		dst = make([]byte, 0, size)
	}
	out, err := decoder.DecodeAll(data, dst[:0:size]) // which goes no further
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if len(out) != size {
		return nil, fmt.Errorf("%w: %d bytes were announced, %d came", ErrCorrupt, size, len(out))
	}
	return out, nil
}

// must is for constructors that fail only for invalid options, which are constants here.
func must[T any](v T, err error) T {
	if err != nil {
		panic("manifest: " + err.Error())
	}
	return v
}
