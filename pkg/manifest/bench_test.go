package manifest

import "testing"

// The subject of all benchmarks is an artifact of 100 objects, about 60 KB.
const benchObjects = 100

func BenchmarkParse(b *testing.B) {
	text := []byte(fixture(benchObjects))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse([]File{{Path: "x.yaml", Data: text}}, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseJSON(b *testing.B) {
	text := mustParse(b, fixture(benchObjects)).Canonical()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse([]File{{Path: "x.json", Data: text}}, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCanonical(b *testing.B) {
	s := mustParse(b, fixture(benchObjects))
	objects := s.Objects()
	b.SetBytes(int64(len(s.Canonical())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewSet(objects, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	canonical := mustParse(b, fixture(benchObjects)).Canonical()
	b.SetBytes(int64(len(canonical)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(canonical, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	canonical := mustParse(b, fixture(benchObjects)).Canonical()
	b.SetBytes(int64(len(canonical)))
	for b.Loop() {
		DigestOf(canonical)
	}
}

func BenchmarkCompress(b *testing.B) {
	canonical := mustParse(b, fixture(benchObjects)).Canonical()
	b.SetBytes(int64(len(canonical)))
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size = len(Compress(canonical))
	}
	b.ReportMetric(float64(size), "encoded-B")
}

var deltaSizes = []struct {
	name    string
	objects int
}{{"60KB", benchObjects}, {"1MB", 1700}, {"3.8MB", 6200}}

func BenchmarkEncodeDelta(b *testing.B) {
	for _, size := range deltaSizes {
		b.Run(size.name, func(b *testing.B) {
			base := artifactOf(b, size.objects)
			target := change(b, base)
			b.SetBytes(int64(len(target)))
			b.ReportAllocs()
			encoded := 0
			for b.Loop() {
				delta, err := EncodeDelta(base, target)
				if err != nil {
					b.Fatal(err)
				}
				encoded = len(delta)
			}
			b.ReportMetric(float64(encoded), "encoded-B")
		})
	}
}

func BenchmarkApplyDelta(b *testing.B) {
	for _, size := range deltaSizes {
		b.Run(size.name, func(b *testing.B) {
			base := artifactOf(b, size.objects)
			target := change(b, base)
			delta, err := EncodeDelta(base, target)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(target)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ApplyDelta(base, delta, len(target)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
