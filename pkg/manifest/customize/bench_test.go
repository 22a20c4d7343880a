package customize

import (
	"fmt"
	"strings"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// benchSet is an artifact of 100 deployments, about 60 KB.
func benchSet(b *testing.B) *manifest.Set {
	manifests := make([]string, 100)
	for i := range manifests {
		manifests[i] = strings.Replace(deployment, "name: web", fmt.Sprintf("name: web-%d", i), 1)
	}
	return parse(b, manifests...)
}

func benchmark(b *testing.B, c *yardarmv1.Customization) {
	set := benchSet(b)
	v := Values{Name: "edge-1", Labels: map[string]string{"region": "eu"}}
	b.SetBytes(int64(len(set.Canonical())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Apply(set, c, v); err != nil {
			b.Fatal(err)
		}
	}
}

// Nothing to replace: what substitution costs a bundle that hardly uses it.
func BenchmarkSubstituteNothing(b *testing.B) { benchmark(b, substituted(nil)) }

func BenchmarkSubstituteAll(b *testing.B) {
	c := one(target("Deployment", ""), "metadata: {labels: {region: '${labels.region}', cluster: '${name}'}}")
	c.Substitute = true
	benchmark(b, c)
}

func BenchmarkPatchOne(b *testing.B) {
	benchmark(b, one(target("Deployment", "web-7"), "spec: {replicas: 5}"))
}

func BenchmarkPatchAll(b *testing.B) {
	benchmark(b, one(target("Deployment", ""), "spec: {template: {spec: {containers: [{name: side, image: side:2}]}}}"))
}

func BenchmarkJSONPatchAll(b *testing.B) {
	benchmark(b, one(target("Deployment", ""), "[{op: replace, path: /spec/replicas, value: 5}]"))
}
