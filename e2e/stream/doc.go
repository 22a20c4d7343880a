// Package stream tests the stream between real hubs and spokes: hub/store, hub/ca and hub/dispatch on one side,
// spoke/session, spoke/state and spoke/report on the other, TLS and gRPC over the machine's loopback in between. The two
// sides do not import each other, so the tests are here. What a spoke does to its cluster is played by a few lines; that is
// e2e/scenarios' to test.
package stream
