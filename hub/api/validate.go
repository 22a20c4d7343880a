package api

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxLabels is how many labels a resource may have, as the proto says.
	maxLabels = 64
	// maxAnnotations bounds all annotations of a resource together, in bytes, as the proto says.
	maxAnnotations = 64 << 10
	// maxTargets is how many groups a bundle may target: fleets have tens of groups.
	maxTargets = 256
	// maxText bounds a free text that is kept, in bytes: a line or two for people.
	maxText = 1 << 10
)

// checker notes what is wrong with one part of a request.
type checker struct {
	v *violations
	// subject, as in "Bundle web", and path, as in "resources[2].", are where the part is.
	subject, path string
}

func (c checker) add(field, message string) { c.v.add(c.subject, c.path+field, message) }

// at is the checker of a part, whose fields are named with prefix before them.
func (c checker) at(prefix string) checker {
	c.path += prefix
	return c
}

func (c checker) name(field, name string) {
	if name == "" {
		c.add(field, "is missing")
		return
	}
	if err := selector.ValidateName(name); err != nil {
		c.add(field, err.Error())
	}
}

func (c checker) labels(field string, labels map[string]string) {
	if len(labels) > maxLabels {
		c.add(field, fmt.Sprintf("has %d entries; at most %d are kept", len(labels), maxLabels))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if err := selector.ValidateLabels(map[string]string{key: labels[key]}); err != nil {
			c.add(fmt.Sprintf("%s[%s]", field, clip(key)), err.Error())
		}
	}
}

func (c checker) annotations(field string, annotations map[string]string) {
	size := 0
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		size += len(key) + len(annotations[key])
		if err := selector.ValidateKey(key); err != nil {
			c.add(fmt.Sprintf("%s[%s]", field, clip(key)), err.Error())
		}
	}
	if size > maxAnnotations {
		c.add(field, fmt.Sprintf("has %d bytes; at most %d are kept", size, maxAnnotations))
	}
}

// text checks a free text that people write.
func (c checker) text(field, text string) {
	switch {
	case len(text) > maxText:
		c.add(field, fmt.Sprintf("has %d bytes; at most %d are kept", len(text), maxText))
	case !utf8.ValidString(text):
		c.add(field, "is not UTF-8")
	}
}

// meta checks what people write of a resource's metadata, and that the resource is what its place in the request says.
func (c checker) meta(apiVersion, kind, want string, m *yardarmv1.ObjectMeta) {
	if apiVersion != "" && apiVersion != yardarmv1.APIVersion {
		c.add("apiVersion", fmt.Sprintf("is %q; this hub knows %s", clip(apiVersion), yardarmv1.APIVersion))
	}
	if kind != "" && kind != want {
		c.add("kind", fmt.Sprintf("is %q, but the resource was sent as %s", clip(kind), want))
	}
	c.name("metadata.name", m.GetName())
	c.labels("metadata.labels", m.GetLabels())
	c.annotations("metadata.annotations", m.GetAnnotations())
}

func (c checker) bundle(b *yardarmv1.Bundle) {
	targets := b.GetSpec().GetTargets()
	if len(targets) > maxTargets {
		c.add("spec.targets", fmt.Sprintf("has %d entries; at most %d are kept", len(targets), maxTargets))
		return
	}
	seen := make(map[string]bool)
	for i, t := range targets {
		field := fmt.Sprintf("spec.targets[%d].group", i)
		c.name(field, t.GetGroup())
		if seen[t.GetGroup()] {
			c.add(field, fmt.Sprintf("names %q a second time", clip(t.GetGroup())))
		}
		seen[t.GetGroup()] = true
	}
	c.at("spec.delivery.").delivery(b.GetMetadata().GetName(), b.GetSpec().GetDelivery())
	c.customizations(b.GetSpec())
	c.at("spec.source.").source(b.GetSpec().GetSource())
	c.at("spec.").variants(b.GetSpec())
	c.at("spec.").rollout(b.GetSpec().GetRollout(), groupsOf(targets))
}
