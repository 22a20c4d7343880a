package api

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// TestSourceFields names each field of a source that is not as it should be.
func TestSourceFields(t *testing.T) {
	git := func(g *yardarmv1.GitSource) *yardarmv1.Source {
		return &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: g}}
	}
	helm := func(h *yardarmv1.HelmSource) *yardarmv1.Source {
		return &yardarmv1.Source{From: &yardarmv1.Source_Helm{Helm: h}}
	}
	oci := func(o *yardarmv1.OciSource) *yardarmv1.Source {
		return &yardarmv1.Source{From: &yardarmv1.Source_Oci{Oci: o}}
	}
	const digest = "sha256:0123456789012345678901234567890123456789012345678901234567890123"
	kustomize := helm(&yardarmv1.HelmSource{Url: "https://charts.example.com", Chart: "shop"})
	kustomize.Rendering = &yardarmv1.Rendering{Type: yardarmv1.RenderKustomize}
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICSsaCwSQYr1DzU1CVErJUE7doQ46Myrx2qynjfLmBao ada"
	signed := func(ref *yardarmv1.GitRef, mode string, signers ...*yardarmv1.GitSigner) *yardarmv1.Source {
		return git(&yardarmv1.GitSource{Url: "https://git.example.com/app", Ref: ref, Verify: &yardarmv1.GitVerification{Mode: mode, Signers: signers}})
	}
	ada := &yardarmv1.GitSigner{Name: "ada@example.com", Keys: []string{key}, ValidAfter: &timestamppb.Timestamp{}, ValidBefore: timestamppb.Now()}
	for name, c := range map[string]struct {
		source *yardarmv1.Source
		wrong  []string
	}{
		"git":             {git(&yardarmv1.GitSource{Url: "https://git.example.com/app", Ref: &yardarmv1.GitRef{Semver: "1.x"}, Path: "apps/web"}), nil},
		"chart":           {helm(&yardarmv1.HelmSource{Url: "https://charts.example.com", Chart: "shop", Version: "1.x", Credentials: "charts"}), nil},
		"artifact":        {oci(&yardarmv1.OciSource{Url: "oci://registry.example.com/app", Ref: &yardarmv1.OciRef{Digest: digest}, Interval: durationpb.New(time.Minute)}), nil},
		"nothing":         {&yardarmv1.Source{}, []string{"git"}},
		"two refs":        {git(&yardarmv1.GitSource{Url: "https://git.example.com/app", Ref: &yardarmv1.GitRef{Branch: "main", Tag: "a b"}}), []string{"git.ref.branch", "git.ref.tag"}},
		"out of it":       {git(&yardarmv1.GitSource{Url: "https://git.example.com/app", Path: "../other"}), []string{"git.path"}},
		"no chart":        {helm(&yardarmv1.HelmSource{Url: "https://charts.example.com", Version: "one of them"}), []string{"helm.chart", "helm.version"}},
		"chart by http":   {helm(&yardarmv1.HelmSource{Url: "http://charts.example.com", Chart: "shop"}), []string{"helm.url"}},
		"chart, not helm": {kustomize, []string{"helm.chart"}},
		"two tags":        {oci(&yardarmv1.OciSource{Url: "oci://registry.example.com/app:1", Ref: &yardarmv1.OciRef{Tag: "a/b", Digest: "sha256:1"}}), []string{"oci.ref.digest", "oci.ref.tag", "oci.ref.tag", "oci.url"}},
		"too often":       {oci(&yardarmv1.OciSource{Url: "oci://registry.example.com/app", Path: "/a", Interval: durationpb.New(time.Second), Credentials: "No Name"}), []string{"oci.credentials", "oci.interval", "oci.path"}},
		"signed":          {signed(nil, "", ada), nil},
		"signed tag":      {signed(&yardarmv1.GitRef{Semver: "1.x"}, "tag", ada), nil},
		"no tag":          {signed(&yardarmv1.GitRef{Branch: "main"}, "tag", ada), []string{"git.verify.mode"}},
		"by nobody":       {signed(nil, "all"), []string{"git.verify.mode", "git.verify.signers"}},
		"by whom":         {signed(nil, "commit", ada, &yardarmv1.GitSigner{}), []string{"git.verify.signers[1].keys", "git.verify.signers[1].name"}},
		"no key": {signed(nil, "commit", &yardarmv1.GitSigner{Name: "a\nb", Keys: []string{key, "ssh-ed25519"}, ValidAfter: timestamppb.Now(), ValidBefore: &timestamppb.Timestamp{}}),
			[]string{"git.verify.signers[0].keys[1]", "git.verify.signers[0].name", "git.verify.signers[0].validBefore"}},
	} {
		t.Run(name, func(t *testing.T) {
			var v violations
			checker{v: &v}.source(c.source)
			var wrong []string
			for _, f := range v.fields {
				wrong = append(wrong, f.GetField())
			}
			if slices.Sort(wrong); !slices.Equal(wrong, c.wrong) {
				t.Errorf("wrong are %s, and should be %s", strings.Join(wrong, ", "), strings.Join(c.wrong, ", "))
			}
		})
	}
}
