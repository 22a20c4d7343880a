// Package query is what lists, facets and watches are asked by: which resources, and in which order. It is pure, and knows of resources only what a
// [Schema] tells it; hub/api has a schema for each kind, and evaluates it over one snapshot.
//
// A filter is a label selector in which keys may also be fields of the kind:
//
//	env=prod,region in (eu,us),!legacy      labels, as everywhere
//	presence=stale,group=prod               fields: words are compared without regard to case
//	name=shop-*                             "*" stands for any characters, in the values of fields
//	version>=1.30,bundles.failed>0          versions and numbers take <, <=, > and >= as well
//	labels.phase=blue                       a label that has the name of a field
//
// All that is listed must hold. A version counts as far as it is given: version=1.30 is true of v1.30.4+k3s1. A field with several values, such as
// group, equals a value if one of them does, and differs if none does.
//
// An order is a list of keys, each with "desc" behind it where the largest comes first: bundles.failed desc,name. Labels may be keys, too. What is
// equal in all of them comes in the order of names.
package query
