// Package artifact writes manifests such as people have: services of several objects, with names, images by digest,
// environment, probes and configuration, of which no two are alike. They compress to about a quarter, as real ones do.
package artifact

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
)

// Manifests answers YAML of about size bytes. Equal seeds give equal manifests, but for one field in their middle, which
// says change.
func Manifests(seed uint64, size, change int) []byte {
	w := &writer{rng: rand.New(rand.NewPCG(seed, 0x79617264))}
	changed := false
	for n := 0; n == 0 || w.out.Len() < size; n++ {
		replicas := 1 + w.rng.IntN(8)
		if !changed && w.out.Len() >= size/2-serviceSize {
			replicas, changed = 10+change, true
		}
		w.service(n, replicas)
	}
	return w.out.Bytes()
}

// serviceSize is about how many bytes one service takes.
const serviceSize = 3500

type writer struct {
	rng *rand.Rand
	out bytes.Buffer
}

var (
	firsts  = []string{"billing", "catalog", "checkout", "fraud", "inventory", "ledger", "mailer", "orders", "payments", "pricing", "search", "session", "shipping", "stock", "tax", "till"}
	seconds = []string{"api", "batch", "cache", "consumer", "export", "gateway", "indexer", "sync", "web", "worker"}
	keys    = []string{"DATABASE_URL", "QUEUE_URL", "CACHE_TTL", "LOG_LEVEL", "REGION", "FEATURE_FLAGS", "OTEL_ENDPOINT", "MAX_CONNECTIONS", "SMTP_HOST", "BUCKET", "TENANT", "RETRY_LIMIT"}
)

func (w *writer) pick(from []string) string { return from[w.rng.IntN(len(from))] }

// noise is n random bytes as text, as in a certificate or a key.
func (w *writer) noise(n int) string {
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = byte(w.rng.Uint32())
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (w *writer) hex(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = "0123456789abcdef"[w.rng.IntN(16)]
	}
	return string(out)
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

// service writes a ConfigMap, a Deployment and a Service. The number keeps names apart.
func (w *writer) service(number, replicas int) {
	name := fmt.Sprintf("%s-%s-%d", w.pick(firsts), w.pick(seconds), number)
	port := 1024 + w.rng.IntN(40000)
	w.config(name)
	w.line("---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: %s\n  namespace: default", name)
	w.line("  labels: {app: %s, team: %s, tier: t%d}", name, w.pick(firsts), w.rng.IntN(4))
	w.line("  annotations: {example.com/commit: %q, example.com/owner: %q}", w.hex(40), w.pick(firsts)+"@example.com")
	w.line("spec:\n  replicas: %d\n  revisionHistoryLimit: %d\n  selector: {matchLabels: {app: %s}}", replicas, 1+w.rng.IntN(9), name)
	w.line("  template:\n    metadata: {labels: {app: %s}}\n    spec:\n      containers:\n      - name: main", name)
	w.line("        image: registry.example.com/%s/%s@sha256:%s", w.pick(firsts), name, w.hex(64))
	w.line("        ports: [{name: http, containerPort: %d}]", port)
	w.line("        env:")
	for _, i := range w.rng.Perm(len(keys))[:4+w.rng.IntN(6)] {
		w.line("        - {name: %s, value: %q}", keys[i], w.pick(seconds)+"-"+w.noise(6+w.rng.IntN(18)))
	}
	w.line("        readinessProbe: {httpGet: {path: /%s, port: http}, periodSeconds: %d}", w.pick(seconds), 2+w.rng.IntN(20))
	w.line("        resources:\n          requests: {cpu: %dm, memory: %dMi}\n          limits: {memory: %dMi}",
		10+w.rng.IntN(900), 16+w.rng.IntN(900), 1000+w.rng.IntN(900))
	w.line("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: default}", name)
	w.line("spec:\n  selector: {app: %s}\n  ports: [{name: http, port: %d, targetPort: http}]", name, port)
}

func (w *writer) config(name string) {
	w.line("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default}\ndata:", name)
	for i := range 3 + w.rng.IntN(5) {
		w.line("  %s.%d: %q", w.pick(seconds), i, w.pick(firsts)+" "+w.noise(10+w.rng.IntN(60)))
	}
	w.line("  settings.yaml: |")
	for range 6 + w.rng.IntN(10) {
		w.line("    %s_%s: %d", w.pick(firsts), w.pick(seconds), w.rng.IntN(100_000))
	}
}
