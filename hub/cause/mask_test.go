package cause

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		`Back-off pulling image "registry.example.com/web:1.29"`: `Back-off pulling image "registry.example.com/web:<n>.<n>"`,
		`pod web-7d9f8b6c5-x2k4q is not ready`:                   `pod <name> is not ready`,
		`pod db-0 of eu-1: container restarted 12 times in 5m3s`: `pod db-<n> of <name>: container restarted <n> times in <n>`,
		`pods "api-6b8d9c7f54-zx2lp" not found`:                  `pods "<name>" not found`,
		`uid 3f2b8c1e-0a4d-4c6b-9e1f-5a7d8e9f0a1b is another`:    `uid <uid> is another`,
		`digest sha256:0123456789abcdef0123 is wanted`:           `digest <uid> is wanted`,
		`dial tcp 10.0.12.7:443: i/o timeout after 30s`:          `dial tcp <n>: i/o timeout after <n>`,
		`no kind "Widget" in example.com/v1beta1`:                `no kind "Widget" in example.com/v1beta1`,
		`not since 2026-11-25T10:00:00Z.`:                        `not since <n>.`,
		`namespace "shop" is not there`:                          `namespace "<name>" is not there`,
		`spec.replicas: Invalid value: -1: must be at least 0`:   `spec.replicas: Invalid value: <n>: must be at least <n>`,
		`workshop webhook: quota`:                                `workshop webhook: quota`,
		"":                                                       "",
	} {
		if got := Mask(in, "eu-1", "web", "shop"); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", in, got, want)
		}
	}
	if got := Mask(strings.Repeat("é", maxMessage)); len(got) > maxMessage+len("…") || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
	}
}

// FuzzMask: whatever a spoke says, it is bounded, and masking twice changes nothing more than masking once.
func FuzzMask(f *testing.F) {
	f.Add("pod web-7d9f8b6c5-x2k4q: 3 of 5", "web")
	f.Add("10.0.0.1:443: -5m <n>", "n")
	f.Fuzz(func(t *testing.T, message, name string) {
		got := Mask(message, name)
		// Each byte that is masked becomes at most as long as a mask.
		if len(got) > (maxMessage+4)*len(maskName) {
			t.Errorf("%d bytes from %d", len(got), len(message))
		}
		if strings.ContainsAny(got, "0123456789") && !strings.Contains(got, "v") {
			t.Errorf("a number is left: %q from %q", got, message)
		}
	})
}
