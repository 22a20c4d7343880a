package hub

import (
	"strings"
	"testing"
)

// Who starts a second hub is told which flag helps.
func TestListenWhereAnotherDoes(t *testing.T) {
	first, err := listen("listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	address := first.Addr().String()
	if _, err := listen("spoke-listen", address); err == nil || !strings.Contains(err.Error(), address+" is taken") || !strings.Contains(err.Error(), "--spoke-listen") {
		t.Errorf("got %v", err)
	}
}
