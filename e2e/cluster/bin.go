package cluster

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/yardarm-dev/yardarm/e2e/built"
)

// KubernetesVersion is what the API server says it is. It has to be told when it is linked; the code
// itself comes from controlplane/go.mod, and a test keeps the two the same.
const KubernetesVersion = "v1.36.3"

// controlPlane is the multi-call program.
var controlPlane = built.Source{
	Folder: "e2e/cluster/controlplane",
	About:  "Kubernetes " + KubernetesVersion + " (API server, controller manager, scheduler, etcd, kwok, kubectl)", Took: "5 minutes",
	Version: KubernetesVersion, LDFlags: VersionFlags(),
	Links: []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok"},
}

// Bin is a folder with the built programs: etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
// kubectl and kwok. It can be put in PATH.
type Bin struct {
	Dir string
	// KubernetesVersion is the version that the API server reports, like "v1.36.3".
	KubernetesVersion string
}

// Path returns the path of one of the programs.
func (b *Bin) Path(program string) string { return filepath.Join(b.Dir, program) }

// Binaries returns the programs from the user's cache folder, building them there first if they are not, which takes minutes:
// see [built.Programs].
func Binaries(ctx context.Context, progress io.Writer) (*Bin, error) {
	dir, err := built.Programs(ctx, controlPlane, progress)
	if err != nil {
		return nil, err
	}
	return &Bin{Dir: dir, KubernetesVersion: KubernetesVersion}, nil
}

// VersionFlags tell a program of Kubernetes its version.
func VersionFlags() string {
	const version = "k8s.io/component-base/version."
	major, minor, _ := strings.Cut(strings.TrimPrefix(KubernetesVersion, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	return " -X " + version + "gitVersion=" + KubernetesVersion +
		" -X " + version + "gitMajor=" + major +
		" -X " + version + "gitMinor=" + minor
}
