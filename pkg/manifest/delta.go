package manifest

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// MaxDelta is the largest content, in bytes, on either side of a delta. To encode a delta, the base is indexed, which takes time and memory in
// proportion; and hardly anything is larger. Content beyond it is sent whole.
const MaxDelta = 4 << 20

// EncodeDelta returns what turns base into target: a zstd frame of target with base as its dictionary. Its size follows the difference, not the content:
// a change of one field takes about 30 bytes, and 15 more for each 128 KiB of content. Either side beyond [MaxDelta] is refused with [ErrTooLarge].
// A delta can be larger than Compress(target) when the two have little in common; callers compare. Equal arguments give equal deltas. Safe for
// concurrent use.
func EncodeDelta(base, target []byte) ([]byte, error) {
	if len(base) > MaxDelta || len(target) > MaxDelta {
		return nil, fmt.Errorf("encode delta from %d to %d bytes: %w: the limit is %d", len(base), len(target), ErrTooLarge, MaxDelta)
	}
	pool := &largeDeltas
	if len(base)+len(target) <= smallWindow {
		pool = &smallDeltas
	}
	encoder := pool.Get().(*zstd.Encoder)
	defer pool.Put(encoder)
	// The encoder is used as a stream, although all content is there: EncodeAll would index the base in an encoder of its own, after
	// ResetWithOptions has done so in that of the stream.
	var delta bytes.Buffer
	if err := encoder.ResetWithOptions(&delta, zstd.WithEncoderDictRaw(0, base)); err != nil {
		return nil, fmt.Errorf("encode delta: %w", err)
	}
	if _, err := encoder.Write(target); err != nil {
		return nil, fmt.Errorf("encode delta: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("encode delta: %w", err)
	}
	return delta.Bytes(), nil
}

// ApplyDelta is the inverse of [EncodeDelta]: base must be the same bytes, and size is that of the target as announced by the sender. What does not
// come out at this size is refused with [ErrCorrupt], a size beyond [MaxDelta] with [ErrTooLarge]. A wrong base can go unnoticed here: the caller
// verifies the target's digest. Safe for concurrent use.
func ApplyDelta(base, delta []byte, size int) ([]byte, error) {
	return ApplyDeltaTo(nil, base, delta, size)
}

// ApplyDeltaTo is ApplyDelta into the memory of dst, if that has room; it is not that of base.
func ApplyDeltaTo(dst, base, delta []byte, size int) ([]byte, error) {
	if len(base) > MaxDelta || size > MaxDelta {
		return nil, fmt.Errorf("apply delta from %d to %d bytes: %w: the limit is %d", len(base), size, ErrTooLarge, MaxDelta)
	}
	decoder := deltaDecoders.Get().(*zstd.Decoder)
	defer deltaDecoders.Put(decoder)
	if err := decoder.ResetWithOptions(nil, zstd.WithDecoderDictRaw(0, base)); err != nil {
		return nil, fmt.Errorf("apply delta: %w", err)
	}
	target, err := decode(decoder, dst, delta, size)
	// So that an idle decoder does not hold on to the base.
	if reset := decoder.ResetWithOptions(nil, zstd.WithDecoderDictDelete()); err == nil && reset != nil {
		err = fmt.Errorf("apply delta: %w", reset)
	}
	if err != nil {
		return nil, err
	}
	return target, nil
}

// A window must reach from the end of the target back to the start of the base. Encoders allocate it in full, next to 9 MiB of hash tables, so there
// are small ones for the usual and large ones for everything up to MaxDelta.
const (
	smallWindow = 1 << 20
	largeWindow = 2 * MaxDelta
)

// Idle encoders are left to the garbage collector, and with them the last base that they indexed.
var (
	smallDeltas   = sync.Pool{New: func() any { return newDeltaEncoder(smallWindow) }}
	largeDeltas   = sync.Pool{New: func() any { return newDeltaEncoder(largeWindow) }}
	deltaDecoders = sync.Pool{New: func() any { return must(zstd.NewReader(nil, decoderOptions()...)) }}
)

func newDeltaEncoder(window int) *zstd.Encoder {
	return must(zstd.NewWriter(nil, append(encoderOptions(),
		zstd.WithWindowSize(window),
		// The fastest level whose hash table has room for a base of megabytes. With the level below, matches with the first half of a 1 MB
		// base are lost: a change of one field in 3.8 MB came out at 250 KB instead of 550 bytes, in the same time.
		zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		zstd.WithLowerEncoderMem(true), // allocate the window once rather than twice
	)...))
}
