package browser

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/yardarm-dev/yardarm/e2e/cluster"
	"github.com/yardarm-dev/yardarm/e2e/cluster/clustertest"
	"github.com/yardarm-dev/yardarm/e2e/fleet"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Real clusters beside simulated ones: what is changed in one shows and is accepted in the page, and a spoke that is killed is never shown ready.
func TestReal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clusters := clustertest.Start(t, cluster.Spec{Name: "edge-1"}, cluster.Spec{Name: "edge-2"})
	w.connect(fleetOf(6))
	for _, c := range clusters.Clusters() {
		w.enrolReal(c)
	}
	w.do("apply", "-f", w.write("shop.yaml", "apiVersion: yardarm.dev/v1\nkind: Bundle\nmetadata: {name: shop}\nspec:\n  targets: [{group: prod}]\n  delivery: {drift: report}\n"))
	w.do("publish", filepath.Dir(w.write("shop/settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop, namespace: default}\ndata: {level: info, colour: blue}\n")),
		"--bundle", "shop", "--to", "prod", "--rollout", "all-at-once")
	w.awaitRollout("shop", func(s *yardarmv1.RolloutStatus) bool { return s.Phase == yardarmv1.RolloutCompleted })
	w.run("real.spec.mjs")
}

// enrolReal enrols a real cluster into the group prod, and has its spoke killed, and its config map shop be edited and read, by who asks for that.
func (w *world) enrolReal(c *cluster.Cluster) {
	w.t.Helper()
	s, err := fleet.NewSpoke(fleet.SpokeConfig{
		Programs: programs, Dir: filepath.Join(w.dir, c.Name()), Kubeconfig: c.KubeconfigPath(), Hub: w.hub.SpokeAddress(), Flags: []string{"--namespace", "yardarm"},
	})
	w.must(err)
	w.t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			w.t.Errorf("stop the spoke of %s: %v", c.Name(), err)
		}
	})
	w.must(s.Enrol(w.ctx, w.hub.CLI(), c.Name(), "env=prod"))
	config, err := clientcmd.RESTConfigFromKubeConfig(c.Kubeconfig())
	w.must(err)
	client, err := dynamic.NewForConfig(config)
	w.must(err)
	settings := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("default")
	w.controls["POST /real/"+c.Name()+"/kill"] = func(*http.Request) (string, error) { return "", s.Kill() }
	w.controls["POST /real/"+c.Name()+"/edit"] = func(r *http.Request) (string, error) {
		_, err := settings.Patch(w.ctx, "shop", types.MergePatchType, []byte(fmt.Sprintf(`{"data":{%q:%q}}`, r.FormValue("key"), r.FormValue("value"))), metav1.PatchOptions{FieldManager: "kubectl-edit"})
		return "", err
	}
	w.controls["POST /real/"+c.Name()+"/read"] = func(r *http.Request) (string, error) {
		o, err := settings.Get(w.ctx, "shop", metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		value, _, err := unstructured.NestedString(o.Object, "data", r.FormValue("key"))
		return value, err
	}
}
