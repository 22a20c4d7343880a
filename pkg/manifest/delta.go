package manifest

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// MaxDelta is the largest content, in bytes, on either side of a delta. The base must be indexed to encode a delta and be in memory to apply it;
// content beyond this is sent whole.
const MaxDelta = 4 << 20

// EncodeDelta returns what turns base into target: a zstd frame of target with base as its dictionary. Its size follows the
// difference, not the content. Either beyond [MaxDelta] is refused with [ErrTooLarge]. A delta can be larger than Compress(target) when the two
// have little in common; the caller compares. Equal arguments give equal deltas for one version of this package. Safe for concurrent use.
func EncodeDelta(base, target []byte) ([]byte, error) {
	if len(base) > MaxDelta || len(target) > MaxDelta {
		return nil, fmt.Errorf("encode delta from %d to %d bytes: %w: the limit is %d", len(base), len(target), ErrTooLarge, MaxDelta)
	}
	encoder := deltaEncoders.Get().(*zstd.Encoder)
	defer deltaEncoders.Put(encoder)
	if err := encoder.ResetWithOptions(nil, zstd.WithEncoderDictRaw(0, base)); err != nil {
		return nil, fmt.Errorf("encode delta: %w", err)
	}
	delta := encoder.EncodeAll(target, nil)
	return delta, encoder.ResetWithOptions(nil, zstd.WithEncoderDictDelete())
}

// ApplyDelta is the inverse of [EncodeDelta]: base must be the same bytes, and size is that of the target as announced by the sender. What does not
// come out at this size is refused with [ErrCorrupt]. A wrong base can go unnoticed here: the caller verifies the target's digest. Safe
// for concurrent use.
func ApplyDelta(base, delta []byte, size int) ([]byte, error) {
	if len(base) > MaxDelta || size > MaxDelta {
		return nil, fmt.Errorf("apply delta from %d to %d bytes: %w: the limit is %d", len(base), size, ErrTooLarge, MaxDelta)
	}
	decoder := deltaDecoders.Get().(*zstd.Decoder)
	defer deltaDecoders.Put(decoder)
	if err := decoder.ResetWithOptions(nil, zstd.WithDecoderDictRaw(0, base)); err != nil {
		return nil, fmt.Errorf("apply delta: %w", err)
	}
	target, err := decode(decoder, delta, size)
	if reset := decoder.ResetWithOptions(nil, zstd.WithDecoderDictDelete()); err == nil && reset != nil {
		err = fmt.Errorf("apply delta: %w", reset)
	}
	if err != nil {
		return nil, err
	}
	return target, nil
}

var (
	deltaEncoders = sync.Pool{New: func() any {
		return must(zstd.NewWriter(nil, append(encoderOptions(),
			zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(2*MaxDelta))...))
	}}
	deltaDecoders = sync.Pool{New: func() any { return must(zstd.NewReader(nil, decoderOptions()...)) }}
)
