// Package node tests Yardarm as it is installed: from its images, by its charts, on real nodes. A [Node] is a kubelet, kube-proxy and
// containerd of this machine in namespaces of their own, joined to a control plane of e2e/cluster; pods on it have addresses, services,
// volumes and containers. It needs root and some of Debian's packages; see README.md.
package node
