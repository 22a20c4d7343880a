// Package cluster runs real Kubernetes control planes on this machine, for tests, the demo and benchmarks.
//
// A [Fleet] is one etcd and any number of [Cluster]s, each an API server of its own (TLS, RBAC, its own
// credentials and key space) and, if asked for, a controller manager, a scheduler and simulated nodes
// (kwok), on which Deployments become ready, Jobs complete, and broken images fail as they do on a real
// kubelet; see stages.yaml. The programs are built from source once and kept in the user's cache folder;
// see [Binaries].
//
//	fleet, err := cluster.Start(ctx, cluster.Config{Clusters: []cluster.Spec{{Name: "a", Nodes: 2}, {Name: "b"}}})
//	…
//	defer fleet.Stop()
//	config, err := clientcmd.RESTConfigFromKubeConfig(fleet.Cluster("a").Kubeconfig())
//
// Tests use package clustertest, which does this and stops the fleet at the test's end.
//
// What it does not do: it runs no containers and no kubelet, gives pods no network, and keeps nothing
// across a Stop. It knows nothing of hubs or spokes, and links no Kubernetes client: callers bring theirs.
package cluster
