package render

import (
	"os"
	"testing"
)

// TestMain: what renders is this program once more.
func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}
