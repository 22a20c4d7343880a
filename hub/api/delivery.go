package api

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/pkg/healthrule"
	"github.com/yardarm-dev/yardarm/pkg/manifest/ignore"
	"github.com/yardarm-dev/yardarm/pkg/manifest/match"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxIgnoreRules is how many rules a bundle may have for fields to leave alone: each is asked about each object.
	maxIgnoreRules = 64
	// maxDependencies is how many bundles one may wait for, as the proto says.
	maxDependencies = 32
	// maxTimeout is the longest time that an assignment may take, as the proto says.
	maxTimeout = 24 * time.Hour
	// maxAccount bounds NAMESPACE/NAME as Kubernetes does: a label and a DNS name, in bytes.
	maxAccount = 63 + 1 + 253

	// defaultTimeout is how long an assignment may take if the bundle does not say otherwise, as the proto says.
	defaultTimeout = 10 * time.Minute
	// defaultNamespace is where objects go that name none, if the bundle does not say otherwise.
	defaultNamespace = "default"
)

// effective is a delivery policy as revisions snapshot it: with its namespace, and without what says no more than the default, so that writing that out is
// no change. What is left out does not count in the hash of an assignment either, so that a bundle stays what its clusters hold when the hub learns to
// say more.
func effective(d *yardarmv1.DeliveryPolicy) *yardarmv1.DeliveryPolicy {
	out := &yardarmv1.DeliveryPolicy{}
	proto.Merge(out, d)
	if out.Namespace == "" {
		out.Namespace = defaultNamespace
	}
	leaveOut(&out.Takeover, yardarmv1.TakeoverAlways)
	leaveOut(&out.Conflict, yardarmv1.ConflictForce)
	leaveOut(&out.Drift, yardarmv1.DriftCorrect)
	for _, d := range out.DependsOn {
		leaveOut(&d.State, yardarmv1.DependencyReady)
	}
	if t := out.Timeout.AsDuration(); t == 0 || t == defaultTimeout {
		out.Timeout = nil
	}
	return out
}

func leaveOut(word *string, otherwise string) {
	if *word == otherwise {
		*word = ""
	}
}

// delivery checks a delivery policy. What other bundles say of it, only the rows can tell: see checkDependencies.
func (c checker) delivery(bundle string, d *yardarmv1.DeliveryPolicy) {
	if ns := d.GetNamespace(); ns != "" && selector.ValidateName(ns) != nil {
		c.add("namespace", fmt.Sprintf("%q is no name of a namespace: want 1 to 63 lower-case letters, digits and, inside, dashes", clip(ns)))
	}
	c.word("takeover", d.GetTakeover(), yardarmv1.TakeoverAlways, yardarmv1.TakeoverIfNoDiff, yardarmv1.TakeoverNever)
	c.word("conflict", d.GetConflict(), yardarmv1.ConflictForce, yardarmv1.ConflictFail)
	c.word("drift", d.GetDrift(), yardarmv1.DriftCorrect, yardarmv1.DriftReport, yardarmv1.DriftIgnore)
	c.ignoreRules(d.GetIgnore())
	c.dependencies(bundle, d.GetDependsOn())
	if t := d.GetTimeout(); t != nil && (t.CheckValid() != nil || t.AsDuration() < 0 || t.AsDuration() > maxTimeout) {
		c.add("timeout", "must be 0s (the default, 10 min) to 24h")
	}
	_, found := healthrule.Compile(d.GetHealth())
	for _, v := range found {
		c.add("health"+v.Field, v.Message)
	}
	c.serviceAccount(d.GetServiceAccount())
}

// word checks one of a closed set; empty is the default.
func (c checker) word(field, value string, known ...string) {
	if value != "" && !slices.Contains(known, value) {
		c.add(field, fmt.Sprintf("is %q; it may be %s", clip(value), strings.Join(known, ", ")))
	}
}

func (c checker) ignoreRules(rules []*yardarmv1.IgnoreRule) {
	if len(rules) > maxIgnoreRules {
		c.add("ignore", fmt.Sprintf("has %d rules; at most %d are kept", len(rules), maxIgnoreRules))
		return
	}
	for i, rule := range rules {
		at := c.at(fmt.Sprintf("ignore[%d].", i))
		if _, err := match.Compile(rule.GetTarget()); err != nil {
			at.add("target", err.Error())
		}
		if n := len(rule.GetPaths()); n == 0 || n > ignore.MaxPaths {
			at.add("paths", fmt.Sprintf("has %d entries; a rule has 1 to %d", n, ignore.MaxPaths))
			continue
		}
		for j, path := range rule.GetPaths() {
			if _, err := ignore.Parse(path); err != nil {
				at.add(fmt.Sprintf("paths[%d]", j), err.Error())
			}
		}
	}
}

func (c checker) dependencies(bundle string, list []*yardarmv1.Dependency) {
	if len(list) > maxDependencies {
		c.add("dependsOn", fmt.Sprintf("has %d entries; at most %d are kept", len(list), maxDependencies))
		return
	}
	seen := make(map[string]bool)
	for i, d := range list {
		at := c.at(fmt.Sprintf("dependsOn[%d].", i))
		at.name("bundle", d.GetBundle())
		switch {
		case d.GetBundle() != "" && d.GetBundle() == bundle:
			at.add("bundle", "is this bundle itself, which would wait for ever")
		case seen[d.GetBundle()]:
			at.add("bundle", fmt.Sprintf("names %q a second time", clip(d.GetBundle())))
		}
		seen[d.GetBundle()] = true
		at.word("state", d.GetState(), yardarmv1.DependencyReady, yardarmv1.DependencyApplied)
	}
}

// accountName is the name of a service account, as Kubernetes has it: a DNS name.
var accountName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func (c checker) serviceAccount(account string) {
	if account == "" {
		return
	}
	namespace, name, ok := strings.Cut(account, "/")
	if !ok || len(account) > maxAccount || selector.ValidateName(namespace) != nil || !accountName.MatchString(name) {
		c.add("serviceAccount", fmt.Sprintf("is %q; it is NAMESPACE/NAME, as in apps/deployer", clip(account)))
	}
}
