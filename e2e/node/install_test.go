package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	east = "east" // has the hub, and a spoke
	west = "west" // has a spoke
)

// web is an application of two pods, in a namespace that is there.
func web(image, greeting string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "%s", args: ["%s"], ports: [{containerPort: 8080}]}]
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
`, image, greeting)
}

// TestInstall is the life of a hub and two spokes, as docs/install.md has it.
func TestInstall(t *testing.T) {
	w := newWorld(t)
	hub := w.nodes[east].address()
	const apiPort, spokePort = 30443, 30444

	w.step("install the hub", func() {
		w.volumes(east, map[string]string{"hub": "data-yardarm-hub-0", "backups": "yardarm-hub-backups"})
		w.sh(east, fmt.Sprintf("helm install yardarm-hub deploy/charts/yardarm-hub --namespace yardarm --create-namespace --set 'addresses={%s}' "+
			"--set service.type=NodePort,service.apiNodePort=%d,service.spokeNodePort=%d --set backup.server=https://%s:%d", hub, apiPort, spokePort, hub, apiPort))
		w.sh(east, "kubectl --namespace yardarm rollout status statefulset/yardarm-hub --timeout 5m")
		w.credential()
	})
	w.step("enrol both clusters by the commands that enroll prints", func() {
		for _, name := range []string{east, west} {
			w.sh(name, "kubectl create namespace web")
			w.sh(name, w.yardarm("enroll", name, "-l", "test=yes", "--no-wait"))
			w.sh(name, "kubectl --namespace yardarm-system rollout status deployment/yardarm-spoke --timeout 2m")
			w.yardarm("wait", "cluster/"+name, "--for", "connected", "--timeout", patience.String())
			found := w.sh(name, fmt.Sprintf("kubectl --namespace yardarm-system exec deployment/yardarm-spoke -- /yardarm-spoke preflight --hub %s:%d", hub, spokePort))
			if !strings.Contains(found, "the hub that made the token answers") || strings.Contains(found, "→") {
				w.errorf("preflight in %s:\n%s", name, found)
			}
		}
	})
	w.step("publish a bundle, whose pods run", func() {
		w.sh(east, "yardarm apply -f - <<'END'\n{apiVersion: yardarm.dev/v1, kind: ClusterGroup, metadata: {name: all}, spec: {selector: {matchLabels: {test: \"yes\"}}}}\nEND")
		w.ready("web", web(workloadImage, "hello"))
		for _, name := range []string{east, west} {
			w.running(name, "hello")
		}
	})
	w.step("a bad image is told with its reason", func() { w.badImage() })
	w.step("a spoke's pod is replaced, without a volume", func() { w.replaceSpoke() })
	w.step("the hub's pod is killed", func() {
		w.killHub()
		w.reconnected()
		w.ready("web", web(workloadImage, "after the hub"))
	})
	w.step("back up", func() {
		w.sh(east, "kubectl --namespace yardarm create job --from=cronjob/yardarm-hub-backup by-hand && kubectl --namespace yardarm wait --for=condition=Complete --timeout 2m job/by-hand")
		if files, err := filepath.Glob(filepath.Join(w.nodes[east].dir, "volumes", "backups", "yardarm-*.backup")); err != nil || len(files) != 1 {
			w.errorf("backups: %v, %v", files, err)
		}
	})
	w.step("change values and upgrade", func() { w.upgrade() })
	w.step("uninstall, install again, and remove", func() { w.uninstall() })
}

// credential fetches the local administrator's, as the chart's notes say.
func (w *world) credential() {
	w.t.Helper()
	out := w.sh(east, "kubectl --namespace yardarm exec statefulset/yardarm-hub -- /yardarm-hub admin-credential --data-dir /var/lib/yardarm/hub")
	w.must(os.WriteFile(w.cli.Config, []byte(out), 0o600))
	// A node passes a port on a moment after its pod is ready.
	w.eventually("the hub answers", func() error { return w.cli.Run(w.ctx, "version").Err() })
}

// running waits until both pods are there, and one of them serves the greeting by the service. A pod runs a moment before its program listens.
func (w *world) running(cluster, greeting string) {
	w.t.Helper()
	w.eventually("the pods of "+cluster+" serve "+greeting, func() error {
		out, err := w.try(cluster, `kubectl --namespace web get pods --selector app=web --field-selector status.phase=Running -o jsonpath='{range .items[*]}{.spec.containers[0].args[0]}{"\n"}{end}'`)
		if err == nil && out != greeting+"\n"+greeting+"\n" {
			err = fmt.Errorf("they are %q", out)
		}
		return err
	})
	w.eventually("the service of "+cluster+" answers "+greeting, func() error {
		out, err := w.try(cluster, "kubectl get --raw /api/v1/namespaces/web/services/web:80/proxy/")
		if err == nil && strings.TrimSpace(out) != greeting {
			err = fmt.Errorf("it answers %q", out)
		}
		return err
	})
}

// badImage publishes one that nobody has, to all at once, and goes back.
func (w *world) badImage() {
	w.t.Helper()
	const within = 10 * time.Second
	began := time.Now()
	w.publish("web", web("127.0.0.1:1/nobody/has:this", "hello"), "--rollout", "all-at-once")
	for _, name := range []string{east, west} {
		for {
			s, err := w.status(name, "web")
			if err == nil && (strings.Contains(s.Reason, "ImagePull") || strings.Contains(fmt.Sprint(s.Report.Problems), "ImagePull")) {
				w.t.Logf("%s after %.1f s: %s: %s", name, time.Since(began).Seconds(), s.Reason, s.Message)
				break
			}
			if time.Since(began) > within {
				w.errorf("%s is not told within %s: %+v, %v", name, within, s, err)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	w.yardarm("rollout", "undo", "bundle/web")
	w.yardarm("wait", "bundle/web", "--timeout", patience.String())
}

// replaceSpoke deletes a spoke's pod. The new one is the same cluster, and works.
func (w *world) replaceSpoke() {
	w.t.Helper()
	before := w.uid(west)
	w.sh(west, "kubectl --namespace yardarm-system delete secret yardarm-spoke-token") // used up
	w.sh(west, "kubectl --namespace yardarm-system delete pod --selector app.kubernetes.io/name=yardarm-spoke")
	w.sh(west, "kubectl --namespace yardarm-system rollout status deployment/yardarm-spoke --timeout 2m")
	w.ready("web", web(workloadImage, "again"))
	w.running(west, "again")
	if after := w.uid(west); after != before {
		w.errorf("the new pod is cluster %s, and was %s", after, before)
	}
}

// killHub kills the hub's pod, and waits for the next: the API server forgets a pod that is deleted so while it still serves, and what is asked of it then
// is cut off.
func (w *world) killHub() {
	w.t.Helper()
	const uid = "kubectl --namespace yardarm get pod yardarm-hub-0 -o jsonpath='{.metadata.uid}'"
	before := w.sh(east, uid)
	w.sh(east, "kubectl --namespace yardarm delete pod yardarm-hub-0 --force --grace-period=0")
	w.eventually("the hub has another pod", func() error {
		after, err := w.try(east, uid)
		if err == nil && after == before {
			err = errors.New("it is the one of before")
		}
		return err
	})
	w.sh(east, "kubectl --namespace yardarm wait --for=condition=Ready --timeout 2m pod/yardarm-hub-0")
}

// reconnected waits until the hub answers again, and both clusters are connected to it.
func (w *world) reconnected() {
	w.t.Helper()
	for _, name := range []string{east, west} {
		w.eventually(name+" is connected again", func() error {
			return w.cli.Run(w.ctx, "wait", "cluster/"+name, "--for", "connected", "--timeout", "10s").Err()
		})
	}
}

// upgrade freezes and unfreezes a cluster by its chart, bounds what a spoke may do, and gives the hub other values.
func (w *world) upgrade() {
	w.t.Helper()
	const spoke = "helm upgrade yardarm-spoke deploy/charts/yardarm-spoke --namespace yardarm-system --reset-then-reuse-values --wait --timeout 3m "
	w.sh(west, spoke+"--set policy.freeze.reason=stocktaking")
	w.eventually("west is frozen", func() error {
		out, err := w.try(west, "kubectl get --raw /api/v1/namespaces/yardarm-system/services/yardarm-spoke-metrics:7445/proxy/metrics | grep '^yardarm_spoke_policy'")
		if err == nil && !strings.Contains(out, `frozen"} 1`) {
			err = fmt.Errorf("metrics: %s", out)
		}
		return err
	})
	w.publish("web", web(workloadImage, "after the freeze"))
	w.frozen(true)
	w.sh(west, spoke+"--set policy.freeze=null")
	w.frozen(false)
	w.yardarm("wait", "bundle/web", "--timeout", patience.String())
	w.running(west, "after the freeze")

	if out, err := w.try(west, "kubectl --namespace yardarm-system exec deployment/yardarm-spoke -- /yardarm-spoke preflight --hub 127.0.0.1:1"); err == nil || !strings.Contains(out, "FAILED  127.0.0.1:1: connection") {
		w.errorf("preflight of what is not there: %v\n%s", err, out)
	}
	w.sh(east, spoke+"--set rbac.preset=namespaced --set 'rbac.namespaces={web}' --set podLabels.team=fleet")
	w.yardarm("wait", "cluster/"+east, "--for", "connected", "--timeout", patience.String())
	w.ready("web", web(workloadImage, "bounded"))
	w.publish("elsewhere", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}}\n")
	w.eventually("what is elsewhere is refused", func() error {
		s, err := w.status(east, "elsewhere")
		if err == nil && s.Phase != "Failed" {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})

	w.sh(east, "helm upgrade yardarm-hub deploy/charts/yardarm-hub --namespace yardarm --reset-then-reuse-values --wait --timeout 5m "+
		"--set podLabels.team=fleet --set 'extraArgs={--keep-revisions=5}'")
	w.reconnected()
	w.ready("web", web(workloadImage, "upgraded"))
}

// frozen waits until the bundle in west is held by the policy, or is so no more.
func (w *world) frozen(want bool) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("frozen is %v", want), func() error {
		s, err := w.status(west, "web")
		if err == nil && (s.Reason == "Frozen") != want {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
}

// uninstall takes a spoke away and brings it back, ends the cluster, and takes the hub away.
func (w *world) uninstall() {
	w.t.Helper()
	before := w.uid(west)
	w.sh(west, "helm uninstall yardarm-spoke --namespace yardarm-system --wait")
	w.running(west, "upgraded")
	w.sh(west, "helm install yardarm-spoke deploy/charts/yardarm-spoke --namespace yardarm-system --wait --timeout 2m")
	w.yardarm("wait", "cluster/"+west, "--for", "connected", "--timeout", patience.String())
	if after := w.uid(west); after != before {
		w.errorf("installed again it is cluster %s, and was %s", after, before)
	}
	w.ready("web", web(workloadImage, "installed again"))
	w.running(west, "installed again")

	w.sh(west, "helm upgrade yardarm-spoke deploy/charts/yardarm-spoke --namespace yardarm-system --reset-then-reuse-values --wait --timeout 2m --set removeWorkloads.enabled=true")
	w.sh(west, "helm uninstall yardarm-spoke --namespace yardarm-system --wait")
	if out := w.sh(west, "kubectl get deployments --all-namespaces --selector yardarm.dev/bundle -o name"); out != "" {
		w.errorf("of west's workloads there are left: %s", out)
	}
	w.yardarm("wait", "cluster/"+west, "--for", "deleted", "--timeout", "10s")
	w.sh(east, "helm uninstall yardarm-hub --namespace yardarm --wait")
	if out := w.sh(east, "kubectl --namespace yardarm get pvc -o name"); !strings.Contains(out, "data-yardarm-hub-0") || !strings.Contains(out, "yardarm-hub-backups") {
		w.errorf("of the hub's volumes there are left: %s", out)
	}
	w.running(east, "installed again")
}
