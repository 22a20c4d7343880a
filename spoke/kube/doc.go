// Package kube connects a spoke to its Kubernetes API server: configuration and clients, which kinds the server knows, what
// the hub wants to know of the cluster, and values kept in Secrets.
//
// It applies nothing and judges nothing; packages apply, live and health do, with the clients from here. spoke.go makes the one
// Client. It uses no typed clientset and no discovery client, which would add 14 MiB to a program whose size is most of
// what it costs; [Mapper] is the little of discovery that a spoke needs.
package kube
