// Package customize changes a bundle's objects for one cluster, as a Customization says: patches first, then the values that
// stand for expressions. The spoke delivers what comes out; the hub checks customizations by the same package when they are
// written, and shows what would come out.
//
//	artifact ──Decode──▶ *Set ──[Apply]──▶ *Set ──Digest──▶ rendered digest
//	                              ▲
//	              Customization, Values (name, labels, facts)
//
// [Apply] is a function of its arguments: equal ones give equal bytes in any spoke and in the hub, or the same problems. It
// never adds an object, takes one away, or makes one another: what an object is (apiVersion, kind, namespace and name) is the same in
// all clusters. So the artifact alone tells which objects a bundle has, which is what inventories, the move of objects between bundles and
// the question before a mass deletion stand on. A name that differs between clusters is not for customization.
//
// # Patches
//
// They are applied in order, each to every object that it selects; a later one sees what an earlier one left. One that selects nothing is
// a problem, since nobody would notice a misspelt name otherwise. Strategic merge patches mean what kubectl means by them, with the
// merge keys of the kinds that Kubernetes itself has (mergekeys.txt). Other kinds have none: their lists are replaced, as in a JSON merge patch
// (RFC 7386).
//
// # Expressions
//
//	${name}  ${labels.KEY}  ${facts.FIELD}  ${vars.KEY}    the value
//	${labels.KEY:-otherwise}                               otherwise, where there is none, or an empty one; without } and |
//	${vars.KEY | int}                                      as a number (int, float) or boolean (bool); nothing else in the text
//	$${labels.KEY}                                         the text ${labels.KEY}
//
// They are looked for in the values of strings, after all patches and after parsing, so that a value cannot end a quote, begin a
// line or be an expression itself. Keys are never touched, and neither is an object with the annotation yardarm.dev/substitute:
// "false". Whatever else has a dollar sign stays as it is: ${HOME}, $(POD_IP), ${name%%.*}.
//
// # Bounds
//
// A hub may be hostile to a spoke, so everything is bounded: number and size of patches and variables, what is made from them, and the
// work that it takes.
package customize
