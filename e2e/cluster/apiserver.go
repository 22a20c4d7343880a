package cluster

import (
	"context"
	"fmt"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

// startAPIServer starts the API server and awaits that it is ready and has made its first namespaces.
// The caller holds mu.
func (c *Cluster) startAPIServer(ctx context.Context) error {
	args := []string{
		"--etcd-servers=" + c.etcdURL,
		"--etcd-prefix=/" + c.spec.Name,
		// An idle API server should be idle: no polling of etcd for metrics.
		"--etcd-count-metric-poll-period=0",
		"--etcd-db-metric-poll-interval=0",

		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.port.Number),
		"--permit-port-sharing", // with the socket that reserves the port
		"--tls-cert-file=" + c.credentials.path("apiserver.crt"),
		"--tls-private-key-file=" + c.credentials.path("apiserver.key"),
		// No endpoint is published for Service default/kubernetes: nothing here would reach it, and a loopback
		// address is not allowed in one.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",

		"--token-auth-file=" + c.credentials.path("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.credentials.path("service-accounts.key"),
		"--service-account-signing-key-file=" + c.credentials.path("service-accounts.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--allow-privileged",

		// Its queues cost CPU at idle; the plain limits below replace it.
		"--enable-priority-and-fairness=false",
		"--max-requests-inflight=800",
		"--max-mutating-requests-inflight=400",
		"--profiling=false",
		"--shutdown-delay-duration=0",
	}
	disabled := "--disable-admission-plugins="
	if !c.spec.Controllers {
		disabled += "ServiceAccount" // nobody makes the service account that every pod would need
	} else {
		// New nodes would be tainted until the node lifecycle controller has seen a heartbeat; it does not run,
		// because on a busy machine simulated heartbeats come late and pods would be evicted.
		disabled += "TaintNodesByCondition"
	}
	args = append(args, disabled)
	if c.spec.Reach != "" {
		// Given again, a flag counts by its last value.
		args = append(args,
			"--bind-address=0.0.0.0",
			"--advertise-address="+c.spec.Reach,
			"--endpoint-reconciler-type=lease", // pods of other makers' nodes reach Service default/kubernetes
			"--kubelet-preferred-address-types=InternalIP",
		)
	}
	apiserver, err := process.Start(process.Program{
		Path: c.bin.Path("kube-apiserver"),
		Args: append(args, c.spec.APIServerFlags...),
		Dir:  c.dir,
	})
	if err != nil {
		return err
	}
	c.apiserver = apiserver
	return awaitReady(ctx, apiserver, func(ctx context.Context) error {
		if err := c.admin.get(ctx, "/readyz", nil); err != nil {
			return err
		}
		for _, namespace := range []string{"default", "kube-system"} { // made shortly after it is ready
			if err := c.admin.get(ctx, "/api/v1/namespaces/"+namespace, nil); err != nil {
				return err
			}
		}
		return nil
	})
}
