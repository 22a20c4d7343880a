// Package charts tests the charts of deploy/ on a real API server, and has what other tests need to install them: Helm itself, and
// where the charts are.
package charts

import (
	"context"
	"io"
	"path/filepath"

	"github.com/yardarm-dev/yardarm/e2e/built"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
)

// helmVersion is that of helm/go.mod; a test keeps the two the same.
const helmVersion = "v3.22.0"

var helm = built.Source{
	Folder: "e2e/charts/helm", Packages: []string{"helm.sh/helm/v3/cmd/helm"}, About: "Helm " + helmVersion, Took: "2 minutes", Version: helmVersion,
	// What Helm's own build says: its version, and the Kubernetes that it takes itself to be for without a cluster.
	LDFlags: " -X helm.sh/helm/v3/internal/version.version=" + helmVersion +
		" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36" +
		" -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=36",
}

// Helm answers the path of the program, building it first if need be; see [built.Programs].
func Helm(ctx context.Context, progress io.Writer) (path string, err error) {
	dir, err := built.Programs(ctx, helm, progress)
	return filepath.Join(dir, "helm"), err
}

// Path answers where a chart is: yardarm-hub or yardarm-spoke.
func Path(name string) (string, error) { return fleet.Source("deploy/charts/" + name) }
