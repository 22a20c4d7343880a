package manifest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// fixture returns manifests of n objects such as an application of many services has: a third of them Deployments, the others Services and
// ConfigMaps. Names, images, settings and texts differ between objects, so that content does not compress better than real one.
func fixture(n int) string {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	word := func() string {
		const consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
		var b strings.Builder
		for range 2 + r.IntN(3) {
			b.WriteByte(consonants[r.IntN(len(consonants))])
			b.WriteByte(vowels[r.IntN(len(vowels))])
		}
		return b.String()
	}
	var b strings.Builder
	for i := range n {
		name := fmt.Sprintf("%s-%s-%d", word(), word(), i)
		labels := fmt.Sprintf("app.kubernetes.io/name: %s\n    app.kubernetes.io/part-of: %s\n    team: %s", name, word(), word())
		fmt.Fprintf(&b, "---\n# Source: app/templates/%s.yaml\n", name)
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, `apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
  namespace: prod
  labels:
    %[2]s
spec:
  replicas: %[3]d
  selector:
    matchLabels:
      app.kubernetes.io/name: %[1]s
  template:
    metadata:
      labels:
        app.kubernetes.io/name: %[1]s
    spec:
      containers:
        - name: %[4]s
          image: registry.example.com/%[4]s/%[5]s@sha256:%016[6]x%016[7]x%016[8]x%016[9]x
          args: ["--listen=:%[10]d", "--%[11]s=%[12]s", "--%[13]s"]
          ports:
            - containerPort: %[10]d
          resources:
            requests: {cpu: %[14]dm, memory: %[15]dMi}
            limits: {memory: %[15]dMi}
          readinessProbe:
            httpGet: {path: /%[16]s, port: %[10]d}
            periodSeconds: %[17]d
`, name, labels, 1+r.IntN(9), word(), word(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), 1024+r.IntN(60000),
				word(), word(), word(), 10+r.IntN(990), 32+r.IntN(4000), word(), 1+r.IntN(30))
		case 1:
			fmt.Fprintf(&b, "apiVersion: v1\nkind: Service\nmetadata:\n  name: %s\n  namespace: prod\n  labels:\n    %s\nspec:\n  selector:\n    app: %s\n  ports:\n"+
				"    - {name: http, port: %d, targetPort: %d}\n", name, labels, word(), 1+r.IntN(60000), 1+r.IntN(60000))
		default:
			fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: prod\n  labels:\n    %s\ndata:\n", name, labels)
			for range 4 {
				fmt.Fprintf(&b, "  %s.conf: |\n", word())
				for range 3 {
					fmt.Fprintf(&b, "    %s.%s = %s %s %d\n", word(), word(), word(), word(), r.IntN(1e6))
				}
			}
		}
	}
	return b.String()
}

// mustParse returns the set of one YAML text.
func mustParse(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Parse([]File{{Path: "test.yaml", Data: []byte(text)}}, Limits{})
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return s
}

// artifactOf returns the canonical form of fixture(n). It is kept, because parsing megabytes takes seconds with the race detector.
func artifactOf(t testing.TB, n int) []byte {
	t.Helper()
	if kept, ok := artifacts.Load(n); ok {
		return kept.([]byte)
	}
	content := mustParse(t, fixture(n)).Canonical()
	artifacts.Store(n, content)
	return content
}

var artifacts sync.Map // of int to []byte
