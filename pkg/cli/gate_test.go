package cli

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestGates(t *testing.T) {
	h := serve(t, gatesFleet())
	var b strings.Builder
	for _, command := range []string{"get gates", "get gates -o wide", "get gate nightly -o yaml", "describe gate friday disks nightly", "get gate fridya",
		"freeze", "freeze --all --bundle web", "freeze --all --until tomorrow", "freeze --all --for 48h --until x", "freeze --all --for -1h", "freeze --all --for 3days", "freeze --all --for 0d", "freeze --all --for 3d --dry-run",
		"freeze --all --for 72h --reason sale", "freeze --bundle bundle/web,api --group group/prod --dry-run", "freeze gate/debugging --cluster cluster/eu-1 --until 2026-12-24T08:00:00+01:00",
		"freeze --cluster a-cluster-of-a-long-name-1,a-cluster-of-a-long-name-2,another-one",
		"unfreeze friday gate/disks", "unfreeze nightly", "unfreeze nothing", "unfreeze friday --dry-run", "delete gate nightly",
		"rollout status api", "rollout override api", "rollout override api -m the-shop-is-down"} {
		args := strings.Fields(command)
		b.WriteString(transcript(args, h.run(t, args...)) + "\n")
	}
	for _, call := range h.calls {
		text, err := protojson.Marshal(call)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(strings.ReplaceAll(string(text), " ", "") + "\n")
	}
	golden(t, "gates", b.String())
}

func TestFreezeThatTheHubRefuses(t *testing.T) {
	h := serve(t, gatesFleet())
	h.failWith("Apply", withDetails(t, codes.InvalidArgument, "Gate \"freeze-group-prodd\": resources[0].spec.groups[0]: there is no cluster group \"prodd\"\n"+
		"Gate \"freeze-group-prodd\": resources[0].spec.bundles.names[1]: is twice in the list\n"+
		"Gate \"freeze-group-prodd\": resources[0].metadata.name: is too long\n"+
		"Gate \"freeze-group-prodd\": resources[0].spec.freeze.until: is over already"))
	got := h.run(t, "freeze", "--group", "prodd")
	if want := "error: there are 4 problems:\n  --group: there is no cluster group \"prodd\"\n  --bundle: is twice in the list\n  NAME: is too long\n  --until: is over already\n"; got.code != ExitError || got.err != want {
		t.Errorf("%+v", got)
	}
}
