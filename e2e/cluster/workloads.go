package cluster

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

// stages is kwok's configuration.
//
//go:embed stages.yaml
var stages []byte

// controllers are those of the controller manager that run. Missing are those which need what is not
// here (clouds, real volumes and routes), certificate signing, and the node lifecycle: simulated nodes
// send no heartbeats.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"cronjob-controller",
	"daemonset-controller",
	"deployment-controller",
	"disruption-controller",
	"endpoints-controller",
	"endpointslice-controller",
	"garbage-collector-controller",
	"horizontal-pod-autoscaler-controller",
	"job-controller",
	"namespace-controller",
	"persistentvolume-protection-controller",
	"persistentvolumeclaim-protection-controller",
	"pod-garbage-collector-controller",
	"replicaset-controller",
	"replicationcontroller-controller",
	"resourcequota-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"statefulset-controller",
	"ttl-after-finished-controller",
	"validatingadmissionpolicy-status-controller",
}

// realNodes are the controllers that clusters with real nodes have besides: claims are bound to volumes, and nodes that say nothing
// lose their pods.
var realNodes = []string{
	"node-lifecycle-controller",
	"persistentvolume-binder-controller",
	"taint-eviction-controller",
}

// fastClient lets controllers write as fast as they can: waiting for a client's own limit is time that
// tests spend.
var fastClient = []string{"--kube-api-qps=1000", "--kube-api-burst=2000"}

// startControllers starts the controller manager, and returns when it has made the first service account,
// without which no pod can be created. The caller holds mu.
func (c *Cluster) startControllers(ctx context.Context) error {
	run := controllers
	if c.spec.Reach != "" {
		run = append(slices.Clone(run), realNodes...)
	}
	args := append([]string{
		"--controllers=" + strings.Join(run, ","),
		"--root-ca-file=" + c.credentials.path("ca.crt"),
		"--service-account-private-key-file=" + c.credentials.path("service-accounts.key"),
	}, fastClient...)
	p, err := c.startComponent("kube-controller-manager", "system:kube-controller-manager", args...)
	if err != nil {
		return err
	}
	return awaitReady(ctx, p, func(ctx context.Context) error {
		return c.admin.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

// startNodes starts the scheduler and kwok, creates the nodes, and returns when all are ready. The caller
// holds mu.
func (c *Cluster) startNodes(ctx context.Context) error {
	config := filepath.Join(c.dir, "stages.yaml")
	if err := os.WriteFile(config, stages, 0o644); err != nil {
		return err
	}
	if err := c.startScheduler(); err != nil {
		return err
	}
	kwok, err := c.startKwok(config)
	if err != nil {
		return err
	}
	if err := c.admin.do(ctx, http.MethodPost, "/apis/storage.k8s.io/v1/storageclasses", storageClass(), nil); err != nil {
		return err
	}
	for i := range c.spec.Nodes {
		if err := c.admin.do(ctx, http.MethodPost, "/api/v1/nodes", c.node(i), nil); err != nil {
			return err
		}
	}
	return awaitReady(ctx, kwok, c.nodesReady)
}

func (c *Cluster) startScheduler() error {
	_, err := c.startComponent("kube-scheduler", "system:kube-scheduler", fastClient...)
	return err
}

// startComponent starts the controller manager or the scheduler, as a user.
func (c *Cluster) startComponent(name, user string, args ...string) (*process.Process, error) {
	_, kubeconfig, err := c.credentials.writeKubeconfig(c.spec.Name, c.URL(), user)
	if err != nil {
		return nil, err
	}
	return c.startOther(name, append([]string{
		"--kubeconfig=" + kubeconfig,
		"--leader-elect=false", // it is the only one, and renewing a lease costs a write every 2 s
		"--secure-port=0",      // nobody reads its metrics
		"--profiling=false",
	}, args...)...)
}

// startKwok starts kwok with its configuration.
func (c *Cluster) startKwok(config string) (*process.Process, error) {
	_, kubeconfig, err := c.credentials.writeKubeconfig(c.spec.Name, c.URL(), "kwok")
	if err != nil {
		return nil, err
	}
	return c.startOther("kwok",
		"--kubeconfig="+kubeconfig,
		"--config="+config,
		"--manage-all-nodes=true",
		"--node-lease-duration-seconds=0", // no heartbeats: see stages.yaml
		"--node-ip=10.0.0.1",
		"--cidr=10.244.0.0/16",
		"--v=warn", // a line per change of a pod would be most of what it does
	)
}

func (c *Cluster) startOther(name string, args ...string) (*process.Process, error) {
	p, err := process.Start(process.Program{Path: c.bin.Path(name), Args: args, Dir: c.dir})
	if err == nil {
		c.others = append(c.others, p)
	}
	return p, err
}

type object = map[string]any

// node is what a kubelet and a cloud would have registered, for the i-th node of a middle-sized machine.
func (c *Cluster) node(i int) object {
	name := fmt.Sprintf("node-%d", i+1)
	zone := c.spec.Region + string("abc"[i%3])
	labels := map[string]string{
		"kubernetes.io/arch":               "amd64",
		"kubernetes.io/hostname":           name,
		"kubernetes.io/os":                 "linux",
		"node.kubernetes.io/instance-type": "simulated",
		"topology.kubernetes.io/region":    c.spec.Region,
		"topology.kubernetes.io/zone":      zone,
	}
	maps.Copy(labels, c.spec.NodeLabels)
	resources := object{"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}
	return object{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata":   object{"name": name, "labels": labels},
		"spec":       object{"providerID": fmt.Sprintf("%s:///%s/%s-%s", c.spec.Provider, zone, c.spec.Name, name)},
		"status": object{
			"capacity":    resources,
			"allocatable": resources,
			"nodeInfo": object{
				"architecture":            "amd64",
				"bootID":                  "",
				"containerRuntimeVersion": "kwok://0.8.0",
				"kernelVersion":           "",
				"kubeProxyVersion":        "",
				"kubeletVersion":          c.bin.KubernetesVersion,
				"machineID":               "",
				"operatingSystem":         "linux",
				"osImage":                 "simulated",
				"systemUUID":              "",
			},
		},
	}
}

// storageClass is the default class, whose claims kwok binds.
func storageClass() object {
	return object{
		"apiVersion": "storage.k8s.io/v1",
		"kind":       "StorageClass",
		"metadata": object{
			"name":        "standard",
			"annotations": object{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		"provisioner":   "kwok.x-k8s.io/volume",
		"reclaimPolicy": "Delete",
	}
}

// nodesReady fails unless all nodes are ready.
func (c *Cluster) nodesReady(ctx context.Context) error {
	var nodes struct {
		Items []struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := c.admin.get(ctx, "/api/v1/nodes", &nodes); err != nil {
		return err
	}
	ready := 0
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" {
				ready++
			}
		}
	}
	if ready < c.spec.Nodes {
		return fmt.Errorf("%d of %d nodes are ready", ready, c.spec.Nodes)
	}
	return nil
}
