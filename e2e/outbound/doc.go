// Package outbound proves what Yardarm promises about networks and credentials: hub and clusters stand in network namespaces of their own, with
// firewalls that let nothing into a cluster and nothing out but to where its spoke dials; packets are counted at each cluster's door; and the hub is
// searched for credentials of the clusters. Namespaces take root and Linux.
package outbound
