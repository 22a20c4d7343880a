#!/bin/sh
# What runs in a node's namespaces, as their first process: all else in them ends with it, mounts and interfaces too. node.go starts
# it, and gives it an interface. Each program has a log in DIR, and DIR/up is there once the images are on the node.
#
#   machine.sh DIR NAME ADDRESS GATEWAY
set -eu
dir=$1 name=$2 address=$3 gateway=$4
mount --make-rshared /
# Places that programs share by their names, although they are no neighbours.
for shared in /run/containerd /run/netns /var/lib/kubelet /var/log/containers; do
	mkdir -p "$shared"
	mount -t tmpfs tmpfs "$shared"
done
hostname "$name"
ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"
echo 1 >/proc/sys/net/ipv4/ip_forward
# A pod that calls itself by a service comes back by the bridge.
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

containerd --config "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 &
until ctr --address "$dir/containerd.sock" version >/dev/null 2>&1; do sleep 0.1; done
for image in "$dir"/images/*.tar; do
	ctr --address "$dir/containerd.sock" --namespace k8s.io images import "$image"
done
touch "$dir/up"
kubelet --config "$dir/kubelet.yaml" --kubeconfig "$dir/kubeconfig" --hostname-override "$name" --node-ip "${address%/*}" \
	--root-dir "$dir/kubelet" --cert-dir "$dir/kubelet/pki" >"$dir/kubelet.log" 2>&1 &
kube-proxy --config "$dir/kube-proxy.yaml" --hostname-override "$name" >"$dir/kube-proxy.log" 2>&1 &
wait
