package apply

import (
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

func TestDeliveryOf(t *testing.T) {
	defaults := Delivery{Takeover: "always", Conflict: "force", Drift: "correct"}
	for name, c := range map[string]struct {
		policy      *yardarmv1.DeliveryPolicy
		annotations string
		want        Delivery
		err         string
	}{
		"nothing said": {want: defaults},
		"by the bundle": {
			policy: &yardarmv1.DeliveryPolicy{Takeover: "never", Conflict: "fail", Drift: "report", Recreate: true},
			want:   Delivery{Takeover: "never", Conflict: "fail", Drift: "report", Recreate: true},
		},
		"by the object, which wins": {
			policy: &yardarmv1.DeliveryPolicy{Takeover: "never", Conflict: "fail", Drift: "report", Recreate: true},
			annotations: `yardarm.dev/takeover: if-no-diff, yardarm.dev/conflict: force, yardarm.dev/drift: ignore, yardarm.dev/keep: "false",
  yardarm.dev/recreate: "false", yardarm.dev/if-not-present: "true"`,
			want: Delivery{Takeover: "if-no-diff", Conflict: "force", Drift: "ignore", IfNotPresent: true},
		},
		"a word that is none":    {annotations: "yardarm.dev/drift: repair", err: `yardarm.dev/drift is "repair"; it may be correct, report, ignore`},
		"a keep that is none":    {annotations: `yardarm.dev/keep: "never"`, err: `yardarm.dev/keep is "never"; it may be false, true`},
		"a boolean that is none": {annotations: `yardarm.dev/recreate: "yes"`, err: `yardarm.dev/recreate is "yes"; it may be false, true`},
	} {
		t.Run(name, func(t *testing.T) {
			set := parse(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {x: z, "+c.annotations+"}}")
			got, err := deliveryOf(c.policy, set.Objects()[0])
			switch {
			case c.err != "":
				if err == nil || err.Error() != c.err {
					t.Errorf("got %v, want %s", err, c.err)
				}
			case err != nil || got != c.want:
				t.Errorf("got %+v %v", got, err)
			}
		})
	}
}
