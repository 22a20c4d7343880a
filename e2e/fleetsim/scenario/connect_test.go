package scenario

import (
	"errors"
	"testing"

	"github.com/yardarm-dev/yardarm/e2e/fleetsim/report"
)

// Regression: where the floor broke, after an hour, nothing was said of the hub.
func TestHubsFiguresOutliveTheFloor(t *testing.T) {
	f := report.Connect{Spokes: 10, HubRSSPerSpoke: 100_000}
	besideFloor(&f, echo{}, errors.New("a stream has ended"))
	if f.Spokes != 10 || f.HubRSSPerSpoke != 100_000 || f.FloorBroke != "a stream has ended" || f.RSSRatioToBare != 0 {
		t.Errorf("without a floor: %+v", f)
	}
	f.FloorBroke = ""
	besideFloor(&f, echo{memory: 80_000, slope: 70_000}, nil)
	if f.FloorBroke != "" || f.RSSRatioToBare != 1.25 || f.BareRSSPerSpoke != 80_000 || f.BareRSSSlope != 70_000 {
		t.Errorf("beside it: %+v", f)
	}
}
