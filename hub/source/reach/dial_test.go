package reach

import (
	"errors"
	"testing"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Addresses of the hub's own machine and link, and of a cloud's metadata, are dialled only by a hub that was told to; others by each.
func TestAddresses(t *testing.T) {
	for address, local := range map[string]bool{
		"127.0.0.1:443": true, "[::ffff:169.254.169.254]:80": true, "100.100.100.200:80": true, "10.0.0.1:443": false, "203.0.113.7:443": false,
	} {
		err := (&Dialer{}).check(address)
		var refused *Error
		if is := errors.As(err, &refused) && refused.Reason == yardarmv1.SourceNotAllowed; is != local || !local && err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if err := (&Dialer{Local: true}).check(address); err != nil {
			t.Errorf("%s, which is allowed: %v", address, err)
		}
	}
	if err := (&Dialer{}).check("git.example.com:443"); err == nil {
		t.Error("a name is taken for an address")
	}
}

// Hosts are allowed by their whole names, or all below one.
func TestHosts(t *testing.T) {
	d := &Dialer{Hosts: []string{"git.example.com", "*.Example.org"}}
	for host, allowed := range map[string]bool{
		"git.example.com": true, "GIT.example.com": true, "a.example.org": true, "a.b.example.org": true,
		"example.com": false, "a.git.example.com": false, "git.example.com.": false, "example.org": false, "evilexample.org": false, "git.example.com.evil.example": false, "": false,
	} {
		if d.Allows(host) != allowed {
			t.Errorf("%q is allowed: %v", host, !allowed)
		}
	}
	if !(&Dialer{}).Allows("anything.example") {
		t.Error("without a list, not all are allowed")
	}
}
