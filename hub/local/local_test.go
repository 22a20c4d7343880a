package local

import "testing"

func TestAddress(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:443": true, "127.8.9.10:22": true, "[::1]:443": true, "[::ffff:127.0.0.1]:443": true, "0.0.0.0:443": true, "[::]:443": true,
		"169.254.169.254:80": true, "[::ffff:169.254.169.254]:80": true, "[fe80::1%eth0]:443": true, "224.0.0.1:443": true, "[ff02::1]:443": true, "255.255.255.255:443": true,
		"100.100.100.200:80": true, "[::ffff:100.100.100.200]:80": true, "[fd00:ec2::254]:80": true,
		"10.0.0.1:443": false, "192.168.1.1:22": false, "203.0.113.7:443": false, "[2001:db8::1]:443": false, "[fd00::1]:443": false, "100.100.100.201:443": false,
	} {
		if ip, local, err := Address(address); local != want || err != nil || !ip.IsValid() {
			t.Errorf("%s is local: %v (%v, %v)", address, local, ip, err)
		}
	}
	for _, name := range []string{"git.example.com:443", "localhost:443", "127.0.0.1", ""} {
		if ip, _, err := Address(name); err == nil {
			t.Errorf("%q is taken for the address %v", name, ip)
		}
	}
}
