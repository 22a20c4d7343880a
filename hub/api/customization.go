package api

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/yardarm-dev/yardarm/hub/placement"
	"github.com/yardarm-dev/yardarm/pkg/manifest/customize"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// maxSpec bounds a bundle's spec, in bytes: each revision keeps a copy of it, and each assignment has what is for its cluster in it, which has to fit into
// a message beside others.
const maxSpec = 1 << 20

// customizations checks those of a bundle and of its targets, each by itself and then as clusters get them.
func (c checker) customizations(spec *yardarmv1.BundleSpec) {
	if size := proto.Size(spec); size > maxSpec {
		c.add("spec", fmt.Sprintf("has %d bytes; at most %d are kept, since it is part of every revision", size, maxSpec))
		return
	}
	ok := c.at("spec.customization").customization(spec.GetCustomization())
	for i, t := range spec.GetTargets() {
		at := c.at(fmt.Sprintf("spec.targets[%d].customization", i))
		if !at.customization(t.GetCustomization()) || !ok {
			continue
		}
		for _, v := range customize.Check(placement.Merge(spec.GetCustomization(), t.GetCustomization())) {
			at.add("."+v.Field, "with those of the bundle before them, "+v.Message)
		}
	}
}

// customization tells whether one is valid by itself.
func (c checker) customization(custom *yardarmv1.Customization) bool {
	found := customize.Check(custom)
	for _, v := range found {
		c.add("."+v.Field, v.Message)
	}
	for i, p := range custom.GetPatches() {
		field := fmt.Sprintf(".patches[%d].clusters", i)
		if len(p.GetClusters()) > maxPatchClusters {
			c.add(field, fmt.Sprintf("has %d entries; at most %d are kept: make a group of them, and target it", len(p.GetClusters()), maxPatchClusters))
			continue
		}
		for j, name := range p.GetClusters() {
			c.name(fmt.Sprintf("%s[%d]", field, j), name)
		}
	}
	if custom.GetLanguage() != 0 {
		c.add(".language", "is set by the hub; leave it out")
	}
	return len(found) == 0
}
