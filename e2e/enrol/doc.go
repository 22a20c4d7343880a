// Package enrol tests enrolment and renewal between real hubs and spokes: hub/ca, hub/store and hub/dispatch on one side, spoke/enroll on the other, and TLS
// and gRPC in between. The two sides do not import each other, so the tests are here. Where days go by, the connections are in memory and the
// time is that of testing/synctest.
package enrol
