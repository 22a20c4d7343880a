package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVersion keeps the version that is linked in equal to that of the code.
func TestVersion(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join("controlplane", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\tk8s.io/kubernetes " + KubernetesVersion + "\n"; !strings.Contains(string(mod), want) {
		t.Errorf("controlplane/go.mod does not require %q", strings.TrimSpace(want))
	}
}

func TestSpec(t *testing.T) {
	for _, test := range []struct {
		spec Spec
		ok   bool
	}{
		{Spec{Name: "a"}, true},
		{Spec{Name: "eu-1", Nodes: 3}, true},
		{Spec{Name: ""}, false},
		{Spec{Name: "etcd"}, false},
		{Spec{Name: "Upper"}, false},
		{Spec{Name: "a/b"}, false},
		{Spec{Name: "-a"}, false},
		{Spec{Name: strings.Repeat("a", 64)}, false},
		{Spec{Name: "a", Nodes: -1}, false},
		{Spec{Name: "a", Reach: "10.0.0.1"}, true},
		{Spec{Name: "a", Reach: "host"}, false},
		{Spec{Name: "a", Reach: "10.0.0.1", Nodes: 1}, false},
	} {
		if err := test.spec.validate(); (err == nil) != test.ok {
			t.Errorf("%+v: got %v", test.spec, err)
		}
	}
}
