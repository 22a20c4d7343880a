package scenarios

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Labels decide: who leaves a group by a label loses what only this group gave it, and is asked where that is much. A fact alone
// takes nothing away.
func TestLeavingAGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enrol(lisbon, tokyo)
	w.group("all")
	w.ready("base", w.publish("base", "all", namespace))
	w.do("label", "cluster", lisbon, tokyo, "tier=gold")
	group := func(name, spec string) {
		w.apply("apiVersion: yardarm.dev/v1\nkind: ClusterGroup\nmetadata: {name: " + name + "}\nspec: " + spec + "\n")
	}
	group("gold", "{selector: {matchLabels: {tier: gold}}}")
	group("noded", "{selector: {matchLabels: {tier: gold}}, expression: facts.nodes >= 0}")
	w.ready("small", w.publish("small", "gold", settings("small", "1")))
	w.ready("spaces", w.publish("spaces", "gold", "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS-own}\n"))
	w.ready("narrow", w.publish("narrow", "noded", settings("narrow", "1")))

	// The hub cannot have fewer nodes reported than there are: it asks for more.
	group("noded", "{selector: {matchLabels: {tier: gold}}, expression: facts.nodes >= 1000}")
	for _, in := range []string{lisbon, tokyo} {
		w.held(in, "narrow", "LeftByFact", "fact")
	}
	w.holds("narrow", "value", "1", lisbon, tokyo)
	w.do("accept", "cluster/"+lisbon, "bundle/narrow", "--yes")
	w.gone(lisbon, configMaps, "narrow")
	w.holds("narrow", "value", "1", tokyo)
	group("noded", "{selector: {matchLabels: {tier: gold}}, expression: facts.nodes >= 0}")
	w.ready("narrow", 1)
	w.holds("narrow", "value", "1", lisbon, tokyo)

	w.do("label", "cluster", tokyo, "tier-")
	w.gone(tokyo, configMaps, "small")
	w.gone(tokyo, configMaps, "narrow")
	w.held(tokyo, "spaces", "MassDeletion", w.id+"-own")
	if err := w.absent(tokyo, namespaces, w.id+"-own"); err == nil {
		t.Fatal("the namespace is gone, and nobody was asked")
	}
	w.holds("small", "value", "1", lisbon)
	w.do("accept", "cluster/"+tokyo, "--yes")
	w.gone(tokyo, namespaces, w.id+"-own")
	w.ready("spaces", 1)

	// It comes back.
	w.do("label", "cluster", tokyo, "tier=gold")
	w.ready("small", 1)
	if _, err := w.value(tokyo, "small", "value"); apierrors.IsNotFound(err) {
		t.Error("it was not brought back")
	}
}
