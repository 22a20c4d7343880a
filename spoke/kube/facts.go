package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// nodePage is how many nodes are read at a time. A node's object is some 10 KiB, and of each page only sums are kept.
const nodePage = 50

// Facts answers what a hub may group clusters by. Labels and annotations of nodes decide what no API tells; nothing tells
// is an empty value.
func (k *Client) Facts(ctx context.Context) (*yardarmv1.Facts, error) {
	version, err := k.version(ctx)
	if err != nil {
		return nil, fmt.Errorf("observe facts: %w", err)
	}
	groups, err := k.groups(ctx)
	if err != nil {
		return nil, fmt.Errorf("observe facts: %w", err)
	}
	nodes, err := k.nodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("observe facts: %w", err)
	}
	facts := &yardarmv1.Facts{
		KubernetesVersion: version,
		Distribution:      distribution(version, groups, nodes),
		Provider:          most(nodes.providers),
		Region:            most(nodes.regions),
		Nodes:             nodes.count,
		ApiGroups:         groups,
	}
	if nodes.count > 0 {
		facts.Capacity = map[string]string{}
		for name, sum := range nodes.capacity {
			facts.Capacity[name] = sum.String()
		}
	}
	return facts, nil
}

func (k *Client) version(ctx context.Context) (string, error) {
	var answer struct{ GitVersion string }
	if err := k.decode(ctx, "/version", nil, &answer); err != nil {
		return "", err
	}
	return answer.GitVersion, nil
}

// groups answers each group in each version that is served, sorted.
func (k *Client) groups(ctx context.Context) ([]string, error) {
	var core struct{ Versions []string }
	if err := k.decode(ctx, "/api", nil, &core); err != nil {
		return nil, err
	}
	var list struct {
		Groups []struct {
			Versions []struct{ GroupVersion string }
		}
	}
	if err := k.decode(ctx, "/apis", nil, &list); err != nil {
		return nil, err
	}
	found := core.Versions
	for _, group := range list.Groups {
		for _, version := range group.Versions {
			found = append(found, version.GroupVersion)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// nodeSums is what is kept of all nodes.
type nodeSums struct {
	count     uint32
	capacity  map[string]*resource.Quantity // cpu, memory, pods
	providers map[string]int
	regions   map[string]int
	labels    map[string]bool // keys of labels and annotations
	kinds     map[string]bool // node.kubernetes.io/instance-type
}

const (
	labelRegion       = "topology.kubernetes.io/region"
	labelInstanceType = "node.kubernetes.io/instance-type"
)

func (k *Client) nodes(ctx context.Context) (nodeSums, error) {
	sums := nodeSums{
		capacity:  map[string]*resource.Quantity{"cpu": {}, "memory": {}, "pods": {}},
		providers: map[string]int{}, regions: map[string]int{}, labels: map[string]bool{}, kinds: map[string]bool{},
	}
	params := map[string]string{"limit": strconv.Itoa(nodePage)}
	for {
		var page struct {
			Metadata struct{ Continue string }
			Items    []node
		}
		if err := k.decode(ctx, "/api/v1/nodes", params, &page); err != nil {
			return nodeSums{}, err
		}
		for i := range page.Items {
			sums.add(&page.Items[i])
		}
		if page.Metadata.Continue == "" {
			return sums, nil
		}
		params["continue"] = page.Metadata.Continue
	}
}

// node is what facts are made of.
type node struct {
	Metadata struct{ Labels, Annotations map[string]string }
	Spec     struct{ ProviderID string }
	Status   struct{ Capacity map[string]string }
}

func (s *nodeSums) add(n *node) {
	s.count++
	for name, sum := range s.capacity {
		// What a kubelet wrote and the API server accepted parses; anything else counts as nothing.
		if quantity, err := resource.ParseQuantity(n.Status.Capacity[name]); err == nil {
			sum.Add(quantity)
		}
	}
	if scheme, _, ok := strings.Cut(n.Spec.ProviderID, "://"); ok && scheme != "" {
		s.providers[scheme]++
	}
	if region := n.Metadata.Labels[labelRegion]; region != "" {
		s.regions[region]++
	}
	for key := range n.Metadata.Labels {
		s.labels[key] = true
	}
	for key := range n.Metadata.Annotations {
		s.labels[key] = true
	}
	s.kinds[n.Metadata.Labels[labelInstanceType]] = true
}

// distribution tells who built the cluster, by what each is known to leave behind.
func distribution(version string, groups []string, nodes nodeSums) string {
	for _, mark := range []struct{ in, name string }{
		{"+rke2", "rke2"}, {"+k3s", "k3s"}, {"+k0s", "k0s"}, {"-eks-", "eks"}, {"-gke.", "gke"}, {"-aliyun", "ack"}, {"-mirantis", "mke"},
	} {
		if strings.Contains(version, mark.in) {
			return mark.name
		}
	}
	if slices.ContainsFunc(groups, func(g string) bool { return strings.HasPrefix(g, "config.openshift.io/") }) {
		return "openshift"
	}
	keys := slices.Sorted(maps.Keys(nodes.labels))
	for _, mark := range []struct{ prefix, name string }{
		{"eks.amazonaws.com/", "eks"},
		{"cloud.google.com/gke-", "gke"},
		{"kubernetes.azure.com/", "aks"},
		{"doks.digitalocean.com/", "doks"},
		{"microk8s.io/", "microk8s"},
		{"minikube.k8s.io/", "minikube"},
		{"talos.dev/", "talos"},
		{"rke.cattle.io/", "rke"},
	} {
		if slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, mark.prefix) }) {
			return mark.name
		}
	}
	switch {
	case nodes.kinds["k3s"]:
		return "k3s"
	case nodes.providers["kind"] > 0:
		return "kind"
	case nodes.providers["kwok"] > 0:
		return "kwok"
	case nodes.labels["kubeadm.alpha.kubernetes.io/cri-socket"]:
		return "kubeadm"
	}
	return ""
}

// most answers the value that is there most often, the first by name among equals.
func most(counts map[string]int) string {
	best := ""
	for _, value := range slices.Sorted(maps.Keys(counts)) {
		if best == "" || counts[value] > counts[best] {
			best = value
		}
	}
	return best
}

// decode reads a path into a small type.
func (k *Client) decode(ctx context.Context, path string, params map[string]string, into any) error {
	body, err := k.get(ctx, path, params)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
