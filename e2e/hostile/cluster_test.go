package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/spoke"
)

// own is the spoke's own namespace, which is all that may change.
const own = "yardarm-system"

// victim is the cluster, with a spoke in it.
type victim struct {
	t      *testing.T
	config *rest.Config
	client dynamic.Interface
}

// attacked starts a spoke that is enrolled at the hub, with a policy.
func attacked(t *testing.T, c *cluster.Cluster, h *hub, policy string) *victim {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s, err := spoke.New(spoke.Config{
		HubAddresses: []string{h.address}, Token: h.token("edge-1"), Kubeconfig: file("kubeconfig", c.Kubeconfig()), Namespace: own,
		StateDir: filepath.Join(dir, "state"), PolicyFile: file("policy.yaml", []byte(policy)),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	v := &victim{t: t}
	if v.config, err = clientcmd.RESTConfigFromKubeConfig(c.Kubeconfig()); err != nil {
		t.Fatal(err)
	}
	v.config.QPS, v.config.WarningHandler = -1, rest.NoWarnings{}
	if v.client, err = dynamic.NewForConfig(v.config); err != nil {
		t.Fatal(err)
	}
	return v
}

// listing is every object of the cluster, with its uid and resource version: all kinds that are served, but for what is the spoke's own, events, which tell
// of the attacks, and leases, which their holders renew.
func (v *victim) listing() map[string]string {
	v.t.Helper()
	all := map[string]string{}
	kinds := v.kinds()
	if len(kinds) < 40 {
		v.t.Fatalf("only %d kinds are listed", len(kinds))
	}
	for _, kind := range kinds {
		objects, err := v.client.Resource(kind).List(v.t.Context(), metav1.ListOptions{})
		if err != nil {
			v.t.Fatal(err)
		}
		for _, o := range objects.Items {
			if o.GetNamespace() == own || kind.Resource == "namespaces" && o.GetName() == own {
				continue
			}
			all[fmt.Sprintf("%s %s/%s", kind.GroupResource(), o.GetNamespace(), o.GetName())] = string(o.GetUID()) + " " + o.GetResourceVersion()
		}
	}
	return all
}

// kinds are those that the API server serves and lists, each group's in its preferred version.
func (v *victim) kinds() (kinds []schema.GroupVersionResource) {
	v.t.Helper()
	var groups struct {
		Groups []struct {
			Name             string
			PreferredVersion struct{ Version string }
		}
	}
	v.get("/apis", &groups)
	paths := map[schema.GroupVersion]string{{Version: "v1"}: "/api/v1"}
	for _, g := range groups.Groups {
		gv := schema.GroupVersion{Group: g.Name, Version: g.PreferredVersion.Version}
		paths[gv] = "/apis/" + gv.String()
	}
	for gv, path := range paths {
		var list struct {
			Resources []struct {
				Name, Kind string
				Verbs      []string
			}
		}
		v.get(path, &list)
		for _, r := range list.Resources {
			if slices.Contains(r.Verbs, "list") && r.Kind != "Event" && r.Kind != "Lease" && r.Kind != "ComponentStatus" {
				kinds = append(kinds, gv.WithResource(r.Name))
			}
		}
	}
	return kinds
}

func (v *victim) get(path string, into any) {
	v.t.Helper()
	client, err := rest.HTTPClientFor(v.config)
	if err != nil {
		v.t.Fatal(err)
	}
	response, err := client.Get(v.config.Host + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		v.t.Fatal(err)
	}
}

// settled waits until nothing in the cluster changes by itself, and answers the listing.
func (v *victim) settled() map[string]string {
	v.t.Helper()
	before := v.listing()
	eventually(v.t, "the cluster is at rest", func() bool {
		next := v.listing()
		same := maps.Equal(before, next)
		before = next
		return same
	}, func() any { return len(before) })
	return before
}

// unchanged fails the test if anything is not as it was.
func (v *victim) unchanged(t *testing.T, before map[string]string) {
	t.Helper()
	after := v.listing()
	var changed []string
	for name, version := range before {
		switch now, ok := after[name]; {
		case !ok:
			changed = append(changed, name+" is gone")
		case now != version:
			changed = append(changed, name+" was changed")
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			changed = append(changed, name+" was made")
		}
	}
	if len(changed) > 0 {
		slices.Sort(changed)
		t.Errorf("the cluster is not what it was: %s", strings.Join(changed, "; "))
	}
}

func (v *victim) makeNamespace(name string) error {
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	namespace.SetName(name)
	_, err := v.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(v.t.Context(), namespace, metav1.CreateOptions{})
	return err
}
