package api_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/api"
	"github.com/yardarm-dev/yardarm/hub/api/apitest"
	"github.com/yardarm-dev/yardarm/hub/gateway"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func sourceCredentials(name string, spec *yardarmv1.SourceCredentialsSpec) *hubv1.Resource {
	return &hubv1.Resource{Resource: &hubv1.Resource_SourceCredentials{SourceCredentials: &yardarmv1.SourceCredentials{Metadata: &yardarmv1.ObjectMeta{Name: name}, Spec: spec}}}
}

// sshKey makes a private key, and a line of known hosts with its public half.
func sshKey(t *testing.T) (private, known string) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), "git.example.com " + string(ssh.MarshalAuthorizedKey(host))
}

// TestSourceCredentials makes, changes, lists and deletes some. Their secrets go in, and never out again: not in answers, not in the log of the hub, not in that of
// changes, and not on the disk.
func TestSourceCredentials(t *testing.T) {
	var logged bytes.Buffer
	h := apitest.Start(t, func(c *api.Config, _ *gateway.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	key, known := sshKey(t)
	const password, webhook = "the-password-of-ann", "the-secret-of-webhooks"
	hidden := func(where, text string) {
		t.Helper()
		for _, secret := range []string{password, webhook, strings.Split(key, "\n")[1], "a-bearer-token"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows a secret", where)
			}
		}
	}
	spec := &yardarmv1.SourceCredentialsSpec{Urls: []string{"https://git.example.com/team/", "git@git.example.com:team/"}, Username: "ann", Password: password, PrivateKey: key,
		KnownHosts: known, WebhookSecret: webhook, Bundles: &yardarmv1.Scope{Names: []string{"web"}}}
	for _, step := range []struct {
		why, want string
		change    func(*yardarmv1.SourceCredentialsSpec)
		holds     []string
	}{
		{"they are new", "created", func(*yardarmv1.SourceCredentialsSpec) {}, []string{"password", "privateKey", "webhookSecret"}},
		{"they are the same, with their secrets", "unchanged", func(*yardarmv1.SourceCredentialsSpec) {}, []string{"password", "privateKey", "webhookSecret"}},
		{"they are the same, without them", "unchanged", func(s *yardarmv1.SourceCredentialsSpec) { s.Password, s.PrivateKey, s.WebhookSecret = "", "", "" },
			[]string{"password", "privateKey", "webhookSecret"}},
		{"they go to fewer places", "configured", func(s *yardarmv1.SourceCredentialsSpec) {
			s.Password, s.PrivateKey, s.WebhookSecret, s.Urls = "", "", "", []string{"https://git.example.com/team/app"}
		}, []string{"password", "privateKey", "webhookSecret"}},
		{"the secrets come anew, for other places", "configured", func(*yardarmv1.SourceCredentialsSpec) {}, []string{"password", "privateKey", "webhookSecret"}},
		{"a token takes the password's place", "configured", func(s *yardarmv1.SourceCredentialsSpec) {
			s.Password, s.Username, s.PrivateKey, s.WebhookSecret, s.BearerToken = "", "", "", "", "a-bearer-token"
		}, []string{"bearerToken", "privateKey", "webhookSecret"}},
	} {
		next := proto.CloneOf(spec)
		step.change(next)
		resp := must[*hubv1.ApplyResponse](t)(h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{sourceCredentials("team", next)}}))
		if got := resp.Results[0]; got.Outcome != step.want || !slices.Equal(got.Resource.GetSourceCredentials().GetStatus().GetHolds(), step.holds) {
			t.Errorf("%s: %s, want %s; holds %v", step.why, got.Outcome, step.want, got.Resource.GetSourceCredentials().GetStatus())
		}
		hidden("an answer to apply", resp.String())
	}
	must[any](t)(h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: "web"},
		Spec: &yardarmv1.BundleSpec{Source: &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{Url: "https://git.example.com/team/app", Credentials: "team"}}}}}}}}}))
	got := must[*yardarmv1.SourceCredentials](t)(h.GetSourceCredentials(t.Context(), &hubv1.GetSourceCredentialsRequest{Name: "team"}))
	if got.Kind != "SourceCredentials" || got.Metadata.Generation != 4 || got.Status.Actor != "local-admin" || !slices.Equal(got.Status.Bundles, []string{"web"}) {
		t.Errorf("got %v", got)
	}
	list := must[*hubv1.ListSourceCredentialsResponse](t)(h.ListSourceCredentials(t.Context(), &hubv1.ListSourceCredentialsRequest{Filter: "holds=privateKey,bundle=web"}))
	if len(list.SourceCredentials) != 1 {
		t.Errorf("got %v", list)
	}
	hidden("an answer", got.String()+list.String())

	_, err := h.DeleteSourceCredentials(t.Context(), &hubv1.DeleteSourceCredentialsRequest{Name: "team"})
	refused(t, err, codes.FailedPrecondition, "", "named by the sources of bundles (web)")
	must[any](t)(h.DeleteBundle(t.Context(), &hubv1.DeleteBundleRequest{Name: "web", Workloads: yardarmv1.Workloads_WORKLOADS_KEEP}))
	must[any](t)(h.DeleteSourceCredentials(t.Context(), &hubv1.DeleteSourceCredentialsRequest{Name: "team"}))
	_, err = h.GetSourceCredentials(t.Context(), &hubv1.GetSourceCredentialsRequest{Name: "team"})
	refused(t, err, codes.NotFound, "", "yardarm get sourcecredentials")

	audit := must[*hubv1.ListAuditResponse](t)(h.ListAudit(t.Context(), &hubv1.ListAuditRequest{Filter: "kind=SourceCredentials,name=team"}))
	if len(audit.Entries) != 5 {
		t.Errorf("%d changes are in the audit log", len(audit.Entries))
	}
	hidden("the audit log", audit.String())
	hidden("the hub's log", logged.String())
	raw := onDisk(t, h)
	if !strings.Contains(raw, "git.example.com") {
		t.Error("the disk does not show where credentials go")
	}
	hidden("the disk", raw)
}

// onDisk is all that a hub has on its disk: the database, and the log that goes before it.
func onDisk(t *testing.T, h *apitest.Hub) string {
	t.Helper()
	var all []byte
	for _, name := range []string{"hub.db", "hub.wal"} {
		raw, err := os.ReadFile(filepath.Join(h.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw...)
	}
	return string(all)
}

// TestInvalidSourceCredentials sends what cannot be; no answer repeats a secret.
func TestInvalidSourceCredentials(t *testing.T) {
	h := apitest.Start(t)
	key, known := sshKey(t)
	here := []string{"https://git.example.com/"}
	apply := func(name string, spec *yardarmv1.SourceCredentialsSpec) error {
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{sourceCredentials(name, spec)}})
		return err
	}
	if err := apply("kept", &yardarmv1.SourceCredentialsSpec{Urls: here, Password: "hidden", Username: "ann"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name        string
		spec        *yardarmv1.SourceCredentialsSpec
		field, says string
	}{
		{"new", nil, "urls", "1 to 64"},
		{"new", &yardarmv1.SourceCredentialsSpec{Password: "hidden"}, "urls", "1 to 64"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: []string{"http://git.example.com"}, Password: "hidden"}, "urls[0]", "https://"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: []string{"https://"}, Password: "hidden"}, "urls[0]", "no host"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: []string{"https://ann:hidden@git.example.com"}}, "urls[0]", "a name or a password"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here}, "password", "is missing"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, Username: "ann", Ca: "no"}, "ca", "no certificate"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, Username: "ann"}, "password", "goes with the username"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, Password: "hidden\r\nX: y"}, "password", "the end of a line"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, Password: "hidden", BearerToken: "hidden"}, "bearerToken", "beside password"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, PrivateKey: "hidden", KnownHosts: known}, "privateKey", "without a passphrase"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, PrivateKey: key}, "knownHosts", "ssh-keyscan"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, PrivateKey: key, KnownHosts: "git.example.com"}, "knownHosts", "ssh-keyscan prints"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, WebhookSecret: "hidden"}, "webhookSecret", "between 16 and 1024"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, Password: "hidden", Bundles: &yardarmv1.Scope{}}, "bundles", "leave it out for no bundle"},
		{"new", &yardarmv1.SourceCredentialsSpec{Urls: here, Password: "hidden", Bundles: &yardarmv1.Scope{Names: []string{"No Name"}}}, "bundles.names[0]", ""},
		// Who may write them, but does not know them, is not to have them sent to a server of their own.
		{"kept", &yardarmv1.SourceCredentialsSpec{Urls: []string{"https://git.example.com/", "https://evil.example.com/"}, Username: "ann"}, "urls[1]", "password that is kept"},
		{"kept", &yardarmv1.SourceCredentialsSpec{Urls: []string{"https://git.example.com.evil.org/"}, Username: "ann"}, "urls[0]", "password that is kept"},
	} {
		err := apply(test.name, test.spec)
		refused(t, err, codes.InvalidArgument, "spec."+test.field, test.says)
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: the answer repeats it: %v", test.field, err)
		}
	}
}

// TestCredentialsScope names credentials in bundles that they are for, and in others.
func TestCredentialsScope(t *testing.T) {
	h := apitest.Start(t)
	spec := func(scope *yardarmv1.Scope) *yardarmv1.SourceCredentialsSpec {
		return &yardarmv1.SourceCredentialsSpec{Urls: []string{"https://git.example.com/"}, BearerToken: "t", Bundles: scope}
	}
	warnings := func(spec *yardarmv1.SourceCredentialsSpec) string {
		t.Helper()
		resp := must[*hubv1.ApplyResponse](t)(h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{sourceCredentials("team", spec)}}))
		return strings.Join(resp.Results[0].Warnings, "\n")
	}
	bundle := func(name, team string, from *yardarmv1.Source) *hubv1.Resource {
		return &hubv1.Resource{Resource: &hubv1.Resource_Bundle{Bundle: &yardarmv1.Bundle{Metadata: &yardarmv1.ObjectMeta{Name: name, Labels: map[string]string{"team": team}},
			Spec: &yardarmv1.BundleSpec{Source: from}}}}
	}
	git := &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{Url: "https://git.example.com/app", Credentials: "team"}}}
	helm := &yardarmv1.Source{From: &yardarmv1.Source_Helm{Helm: &yardarmv1.HelmSource{Url: "https://git.example.com/charts", Chart: "app", Credentials: "team"}}}
	oci := &yardarmv1.Source{From: &yardarmv1.Source_Oci{Oci: &yardarmv1.OciSource{Url: "oci://git.example.com/app", Credentials: "team"}}}

	if said := warnings(spec(nil)); !strings.Contains(said, `no bundle may name the source credentials "team"`) {
		t.Errorf("of credentials without a scope, it is told %q", said)
	}
	some := &yardarmv1.Scope{Names: []string{"web", "shop"}, Selector: &yardarmv1.LabelSelector{MatchLabels: map[string]string{"team": "ours"}}}
	for _, test := range []struct {
		why   string
		scope *yardarmv1.Scope
		in    *hubv1.Resource
		field string
	}{
		{"there is no scope", nil, bundle("web", "ours", git), "git"},
		{"its name is in it", some, bundle("web", "", git), ""},
		{"its labels are", some, bundle("api", "ours", helm), ""},
		{"neither is", some, bundle("other", "theirs", git), "git"},
		{"nor of a chart", some, bundle("other", "theirs", helm), "helm"},
		{"nor of an artifact", some, bundle("other", "theirs", oci), "oci"},
		{"all are", &yardarmv1.Scope{Selector: &yardarmv1.LabelSelector{}}, bundle("other", "theirs", oci), ""},
		{"it names others, which are not there yet", nil, bundle("late", "", &yardarmv1.Source{From: &yardarmv1.Source_Git{Git: &yardarmv1.GitSource{Url: "https://git.example.com/app", Credentials: "late"}}}), ""},
	} {
		warnings(spec(test.scope))
		_, err := h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{test.in}})
		if test.field == "" && err != nil {
			t.Errorf("%s: %v", test.why, err)
		}
		if test.field != "" {
			refused(t, err, codes.InvalidArgument, "spec.source."+test.field+".credentials", `the source credentials "team" are not for bundle`)
		}
	}
	// Together with the bundle, in whatever order.
	must[any](t)(h.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{bundle("shop", "theirs", git), sourceCredentials("team", spec(some))}}))
	if said := warnings(spec(&yardarmv1.Scope{Names: []string{"web"}})); !strings.Contains(said, "get no new revisions: api, other, shop") {
		t.Errorf("of credentials that were taken from bundles, it is told %q", said)
	}
}
