package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVersion keeps a node's version equal to that of its control plane.
func TestVersion(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join("agents", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\tk8s.io/kubernetes " + kubernetesVersion; !strings.Contains(string(mod), want+"\n") && !strings.Contains(string(mod), want+" ") {
		t.Errorf("agents/go.mod does not require %q", strings.TrimSpace(want))
	}
}
