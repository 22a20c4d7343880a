// Package certs is what hub and spoke both have to know about keys and certificates: the pin by which a spoke knows its hub before it
// has anything else, the URI that names a cluster in its certificate, the enrolment token's text, and how keys and chains are written.
//
// It issues nothing and decides nothing: hub/ca signs and refuses, spoke/enroll asks.
package certs

import "time"

// RenewalWindow is for how long an expired certificate may still be renewed with the enrolled key: 90 days, so that neither a hub that was
// down for a weekend nor a cluster that was off for a season has to be enrolled anew.
const RenewalWindow = 90 * 24 * time.Hour

// Backdate is how far certificates begin before they are issued, for clocks that lag behind the hub's: two hours, so that a clock that is
// off by a whole hour, as one is that takes local time for another, shuts nobody out, whichever side has it. A certificate's life counts
// from its issue.
const Backdate = 2 * time.Hour
