// Package browser tests the dashboard as people use it: in a browser (Debian's Chromium, driven by playwright-core from specs), on a real hub with
// real and simulated spokes, and in one test on real clusters. Nothing of the API is mocked. A test here makes a world; the spec of its name drives the pages in it, and asks for
// what it cannot do itself (stop the hub, kill a spoke) over a control port.
package browser
