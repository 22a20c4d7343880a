// Package preflight looks for what usually stands between a spoke and its work: names, ways, proxies, what intercepts TLS, rights
// in the cluster, and clocks. It says of each whether it is as it has to be, and if not, what to change. It changes nothing, enrols
// nothing, and uses up no token. `yardarm-spoke preflight` calls it, before a spoke is started or where one does not connect.
package preflight

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/yardarm-dev/yardarm/pkg/certs"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

const (
	// stepTimeout bounds one step: slow links and proxies fit.
	stepTimeout = 10 * time.Second
	// maxSkew is by how much clocks may differ: certificates are valid from five minutes before they are issued.
	maxSkew = 2 * time.Minute
)

// Config says what to look at.
type Config struct {
	// HubAddresses (host:port) are looked at one by one.
	HubAddresses []string
	// Token pins the hub's CA. Without it nobody knows who answers, and that is said.
	Token string
	// Cluster is the API server; nil leaves it out.
	Cluster *kube.Client
	// Proxy says by what an address is dialled. Default: what HTTPS_PROXY and NO_PROXY say.
	Proxy func(*url.URL) (*url.URL, error)
	// Clock defaults to time.Now.
	Clock func() time.Time
}

// Finding is what came of a look at one thing.
type Finding struct {
	// What was looked at, as in "hub.example.com:7444: TLS", and what was found.
	What, Found string
	// Advice says what to change; empty if all is well.
	Advice string
	// Grave says that a spoke cannot work like this.
	Grave bool
}

// Run looks at everything and answers what it found, in order. What cannot be looked at, because something before it is amiss, is
// left out.
func Run(ctx context.Context, c Config) []Finding {
	if c.Proxy == nil {
		c.Proxy = httpproxy.FromEnvironment().ProxyFunc()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	l := &look{Config: c}
	if len(c.HubAddresses) == 0 {
		l.grave("hub", "no address is given", "give the hub's with --hub: yardarm enroll prints it")
	}
	if c.Token != "" {
		token, err := certs.ParseToken(c.Token)
		if err != nil {
			l.grave("enrolment token", err.Error(), "copy the whole of what yardarm enroll has printed, or enrol the cluster again for a new one")
		} else {
			l.pin = &token.Pin
		}
	}
	for _, address := range c.HubAddresses {
		l.hub(ctx, address)
	}
	if c.Cluster != nil {
		l.cluster(ctx)
	}
	return l.findings
}

// look gathers findings.
type look struct {
	Config
	pin      *certs.Pin
	findings []Finding
}

func (l *look) fine(what, format string, args ...any) {
	l.findings = append(l.findings, Finding{What: what, Found: fmt.Sprintf(format, args...)})
}

func (l *look) grave(what, found, advice string) {
	l.findings = append(l.findings, Finding{What: what, Found: found, Advice: advice, Grave: true})
}

// notice is something to know that stops nothing.
func (l *look) notice(what, found, advice string) {
	l.findings = append(l.findings, Finding{What: what, Found: found, Advice: advice})
}

// Write writes findings for people, and answers how many are grave.
func Write(out io.Writer, findings []Finding) (grave int) {
	for _, f := range findings {
		mark := "ok    "
		switch {
		case f.Grave:
			mark = "FAILED"
			grave++
		case f.Advice != "":
			mark = "note  "
		}
		fmt.Fprintf(out, "%s  %s: %s\n", mark, f.What, f.Found)
		if f.Advice != "" {
			fmt.Fprintf(out, "        → %s\n", f.Advice)
		}
	}
	return grave
}
