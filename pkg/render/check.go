package render

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxReleaseName is what a chart may count on: Helm allows no longer one, and names are made of it.
	maxReleaseName = 53
	maxValueFiles  = 32
	maxAPIVersions = 256
	// maxPath is the longest path, in bytes: Linux' own limit.
	maxPath = 4096
)

var (
	releaseName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	kubeVersion = regexp.MustCompile(`^v?1\.[0-9]{1,3}(\.[0-9]{1,3})?([-+][0-9A-Za-z.+-]{1,64})?$`)
	apiVersion  = regexp.MustCompile(`^[a-z0-9.-]{1,253}(/[A-Za-z0-9]{1,63}){0,2}$`)
)

// Check says what is wrong with a Rendering whatever it is used for, naming the field.
func Check(r *yardarmv1.Rendering) error {
	types := []string{yardarmv1.RenderPlain, yardarmv1.RenderKustomize, yardarmv1.RenderHelm}
	if r.GetType() != "" && !slices.Contains(types, r.GetType()) {
		return fmt.Errorf("type: %q is none: it may be %s, or absent", r.GetType(), strings.Join(types, ", "))
	}
	if hooks := r.GetHooks(); hooks != "" && hooks != yardarmv1.HooksRefuse && hooks != yardarmv1.HooksSkip {
		return fmt.Errorf("hooks: %q is none of %s and %s", hooks, yardarmv1.HooksRefuse, yardarmv1.HooksSkip)
	}
	if r.GetHelm() == nil {
		return nil
	}
	if r.GetType() != "" && r.GetType() != yardarmv1.RenderHelm {
		return fmt.Errorf("helm: it is for charts, and the type is %q", r.GetType())
	}
	return checkHelm(r.GetHelm())
}

func checkHelm(h *yardarmv1.HelmRendering) error {
	if name := h.GetReleaseName(); name != "" && (len(name) > maxReleaseName || !releaseName.MatchString(name)) {
		return fmt.Errorf("helm.releaseName: it has to be a DNS name of at most %d characters", maxReleaseName)
	}
	if namespace := h.GetNamespace(); namespace != "" && (len(namespace) > 63 || !releaseName.MatchString(namespace) || strings.Contains(namespace, ".")) {
		return fmt.Errorf("helm.namespace: it has to be a DNS label of at most 63 characters")
	}
	if v := h.GetKubeVersion(); v != "" && !kubeVersion.MatchString(v) {
		return fmt.Errorf("helm.kubeVersion: %q is no version of Kubernetes, such as 1.34.2", v)
	}
	if err := checkValueFiles(h.GetValueFiles()); err != nil {
		return fmt.Errorf("helm.%w", err)
	}
	if n := len(h.GetApiVersions()); n > maxAPIVersions {
		return fmt.Errorf("helm.apiVersions: there are %d, and at most %d may be", n, maxAPIVersions)
	}
	for i, v := range h.GetApiVersions() {
		if !apiVersion.MatchString(v) {
			return fmt.Errorf("helm.apiVersions[%d]: %q is none, such as apps/v1 or apps/v1/Deployment", i, v)
		}
	}
	return nil
}

func checkValueFiles(files []string) error {
	if n := len(files); n > maxValueFiles {
		return fmt.Errorf("valueFiles: there are %d, and at most %d may be", n, maxValueFiles)
	}
	for i, name := range files {
		if !isReference(name) {
			return fmt.Errorf("valueFiles[%d]: it has to be a path from the chart's directory, with slashes", i)
		}
	}
	return nil
}

// isReference says whether a text may name a file by the way to it.
func isReference(name string) bool {
	return name != "" && !strings.HasPrefix(name, "/") && !strings.ContainsAny(name, "\\\x00")
}

// CheckVariant says what is wrong with a Variant, which may be nil, of what is rendered so, naming the field.
func CheckVariant(r *yardarmv1.Rendering, v *yardarmv1.Variant) error {
	if p := v.GetPath(); p != "" && (!isReference(p) || len(p) > maxPath) {
		return fmt.Errorf("path: it has to be a path from the source's directory, with slashes")
	}
	given := "valueFiles"
	switch {
	case len(v.GetValueFiles()) > 0:
	case v.GetValues() != nil:
		given = "values"
	default:
		return nil
	}
	if t := r.GetType(); t != "" && t != yardarmv1.RenderHelm {
		return fmt.Errorf("%s: it is for charts, and the type is %q", given, t)
	}
	return checkValueFiles(v.GetValueFiles())
}
