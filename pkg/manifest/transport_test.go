package manifest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// noise returns n bytes that do not compress.
func noise(n int, seed byte) []byte {
	data := make([]byte, n)
	// Its Read never fails.
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

func TestCompress(t *testing.T) {
	for name, compress := range map[string]func([]byte) []byte{"Compress": Compress, "CompressFast": CompressFast} {
		t.Run(name, func(t *testing.T) { testCompress(t, compress) })
	}
}

func testCompress(t *testing.T, compress func([]byte) []byte) {
	artifact := mustParse(t, fixture(72)).Canonical()
	for _, content := range [][]byte{nil, []byte("a"), artifact, noise(1000, 1), make([]byte, 5<<20)} {
		data := compress(content)
		got, err := Decompress(data, len(content))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes come back as %d: %v", len(content), len(got), err)
		}
		if len(data) > len(content)+20 {
			t.Errorf("%d bytes become %d", len(content), len(data))
		}
		for _, size := range []int{len(content) - 1, len(content) + 1} {
			if _, err := Decompress(data, size); err == nil || size >= 0 && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d bytes announced as %d: %v, want ErrCorrupt", len(content), size, err)
			}
		}
	}
	if data := compress(artifact); len(data) > len(artifact)/3 {
		t.Errorf("an artifact of %d bytes becomes %d", len(artifact), len(data))
	}
}

func TestDecompressRefuses(t *testing.T) {
	content := mustParse(t, fixture(72)).Canonical()
	data := Compress(content)
	for name, test := range map[string]struct {
		data []byte
		size int
		want error
	}{
		"nothing":            {nil, 10, ErrCorrupt},
		"garbage":            {[]byte("garbage, certainly not zstd"), 10, ErrCorrupt},
		"truncated":          {data[:len(data)-5], len(content), ErrCorrupt},
		"more than it says":  {append(bytes.Clone(data), data...), len(content), ErrCorrupt},
		"negative size":      {data, -1, ErrTooLarge},
		"size beyond limits": {data, maxDecoded + 1, ErrTooLarge},
	} {
		if got, err := Decompress(test.data, test.size); got != nil || !errors.Is(err, test.want) {
			t.Errorf("%s: got %d bytes, %v, want %v", name, len(got), err, test.want)
		}
	}
}

// bomb returns few bytes that expand to size zeros, without saying so in the frame.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	for range size >> 20 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestExpansionIsBounded(t *testing.T) {
	data := bomb(t, 512<<20)
	base := []byte("base")
	for name, expand := range map[string]func() error{
		"Decompress": func() error { _, err := Decompress(data, 1000); return err },
		"ApplyDelta": func() error { _, err := ApplyDelta(base, data, 1000); return err },
	} {
		if err := expand(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := expand(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
			t.Errorf("%s: %d bytes of zstd, announced as 1000, took %d MiB", name, len(data), grown>>20)
		}
	}
}

// change returns content with one field changed in the middle.
func change(t testing.TB, content []byte) []byte {
	t.Helper()
	middle := len(content) / 2
	at := bytes.Index(content[middle:], []byte(`"replicas":`))
	if at < 0 {
		t.Fatal("there is no field to change")
	}
	at += middle + len(`"replicas":`)
	out := append(bytes.Clone(content[:at]), '4', '2')
	return append(out, content[at+1:]...)
}

func TestDeltaFollowsTheChange(t *testing.T) {
	images := func(content []byte) []byte {
		return bytes.ReplaceAll(content, []byte("@sha256:"), []byte("@sha256:0a1b"))
	}
	tests := []struct {
		name    string
		objects int
		change  func(testing.TB, []byte) []byte
		most    int // bytes
	}{
		{"one field in 43 KB", 72, change, 60},
		{"every image in 43 KB", 72, func(_ testing.TB, c []byte) []byte { return images(c) }, 200},
		{"nothing in 43 KB", 72, func(_ testing.TB, c []byte) []byte { return c }, 30},
		{"one field in 1 MB", 1700, change, 200},
		{"one field in 3.8 MB", 6200, change, 800},
		// The start of a large base is what the encoder's tables forget first.
		{"the first fields in 3.8 MB", 6200, func(_ testing.TB, c []byte) []byte { return bytes.Replace(c, []byte("prod"), []byte("test"), 10) }, 900},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			base := artifactOf(t, test.objects)
			target := test.change(t, base)
			delta, err := EncodeDelta(base, target)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes for content of %d; whole, compressed: %d", len(delta), len(base), len(Compress(target)))
			if len(delta) > test.most {
				t.Errorf("the delta has %d bytes, want at most %d", len(delta), test.most)
			}
			got, err := ApplyDelta(base, delta, len(target))
			if err != nil || !bytes.Equal(got, target) {
				t.Errorf("applying it gives %d bytes, %v", len(got), err)
			}
		})
	}
}

// The fixture must not be easier than reality, or the sizes above mean nothing.
func TestFixtureIsRealistic(t *testing.T) {
	content := mustParse(t, fixture(72)).Canonical()
	if len(content) < 40_000 || len(content) > 50_000 {
		t.Errorf("it has %d bytes", len(content))
	}
	if ratio := float64(len(content)) / float64(len(Compress(content))); ratio > 4 {
		t.Errorf("it compresses %.1f-fold; manifests do about fourfold", ratio)
	}
}

func TestDeltaRoundTrip(t *testing.T) {
	artifact := mustParse(t, fixture(72)).Canonical()
	full := noise(MaxDelta, 1)
	shifted := append(noise(100, 2), full[:MaxDelta-100]...)
	tests := map[string]struct {
		base, target []byte
		most         int // bytes of the delta
	}{
		"both empty":       {nil, nil, 20},
		"from nothing":     {nil, artifact, len(artifact) / 3},
		"to nothing":       {artifact, nil, 20},
		"tiny base":        {[]byte("x"), []byte("xyz"), 20},
		"base of 8 bytes":  {[]byte("12345678"), []byte("1234567812345678"), 25},
		"unrelated":        {noise(5000, 3), noise(7000, 4), 7020},
		"largest":          {full, full, 1000},
		"largest, shifted": {full, shifted, 1000},
		"large to small":   {full, full[:100], 120},
		"small to large":   {full[:100], full, MaxDelta + 200},
		"last of base":     {full, full[MaxDelta-1000:], 30},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			delta, err := EncodeDelta(test.base, test.target)
			if err != nil {
				t.Fatal(err)
			}
			if len(delta) > test.most {
				t.Errorf("the delta has %d bytes, want at most %d", len(delta), test.most)
			}
			got, err := ApplyDelta(test.base, delta, len(test.target))
			if err != nil || !bytes.Equal(got, test.target) {
				t.Errorf("got %d bytes, %v, want %d", len(got), err, len(test.target))
			}
			for _, size := range []int{len(test.target) - 1, len(test.target) + 1} {
				if _, err := ApplyDelta(test.base, delta, size); err == nil {
					t.Errorf("it applies with size %d announced for %d", size, len(test.target))
				}
			}
		})
	}
}

func TestDeltaRefuses(t *testing.T) {
	large := make([]byte, MaxDelta+1)
	if _, err := EncodeDelta(large, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("encode from a base that is too large: %v", err)
	}
	if _, err := EncodeDelta(nil, large); !errors.Is(err, ErrTooLarge) {
		t.Errorf("encode to a target that is too large: %v", err)
	}
	delta, err := EncodeDelta([]byte("base"), []byte("target"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		base, delta []byte
		size        int
		want        error
	}{
		"base too large":   {large, delta, 6, ErrTooLarge},
		"size too large":   {nil, delta, MaxDelta + 1, ErrTooLarge},
		"negative size":    {nil, delta, -1, ErrTooLarge},
		"empty delta":      {nil, nil, 6, ErrCorrupt},
		"truncated":        {[]byte("base"), delta[:len(delta)-1], 6, ErrCorrupt},
		"garbage":          {[]byte("base"), []byte("garbage"), 6, ErrCorrupt},
		"trailing":         {[]byte("base"), append(bytes.Clone(delta), 'x'), 6, ErrCorrupt},
		"dictionary by id": {[]byte("base"), frameWithDictionary(t, 7), 6, ErrCorrupt},
	} {
		if got, err := ApplyDelta(test.base, test.delta, test.size); got != nil || !errors.Is(err, test.want) {
			t.Errorf("%s: got %q, %v, want %v", name, got, err, test.want)
		}
	}
}

func frameWithDictionary(t *testing.T, id uint32) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderDictRaw(id, []byte("base")))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte("target"), nil)
}

// With a wrong base, what comes out is an error or wrong, and then its digest says so.
func TestDeltaOnWrongBase(t *testing.T) {
	base := mustParse(t, fixture(72)).Canonical()
	target := change(t, base)
	delta, err := EncodeDelta(base, target)
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Replace(base, []byte("prod"), []byte("test"), 1)
	got, err := ApplyDelta(wrong, delta, len(target))
	if err == nil && DigestOf(target).Verify(got) == nil {
		t.Error("the right content came out of a wrong base")
	}
}

// Encoders are reused: what they did before must not show, and they must not be shared.
func TestDeltasDoNotInfluenceEachOther(t *testing.T) {
	type pair struct{ base, target, delta []byte }
	var pairs []pair
	for n := range 8 {
		base := mustParse(t, fixture(20+40*n)).Canonical()
		target := change(t, base)
		delta, err := EncodeDelta(base, target)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, pair{base, target, delta})
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range pairs {
				p := pairs[(i*3+worker)%len(pairs)]
				delta, err := EncodeDelta(p.base, p.target)
				if err != nil || !bytes.Equal(delta, p.delta) {
					t.Errorf("another delta of %d bytes, was %d: %v", len(delta), len(p.delta), err)
				}
				if got, err := ApplyDelta(p.base, delta, len(p.target)); err != nil || !bytes.Equal(got, p.target) {
					t.Errorf("another target of %d bytes: %v", len(got), err)
				}
				if got, err := Decompress(Compress(p.target), len(p.target)); err != nil || !bytes.Equal(got, p.target) {
					t.Errorf("another content of %d bytes: %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}
