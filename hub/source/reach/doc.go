// Package reach connects to the servers of sources, as far as the hub's settings let it, and says for people why one gives nothing. It knows neither what is
// fetched nor for whom: packages git, chart and oci do.
package reach
