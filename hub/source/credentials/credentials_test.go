package credentials

import "testing"

func TestAllow(t *testing.T) {
	for _, test := range []struct {
		url, place string
		want       bool
	}{
		{"https://git.example.com/team/", "https://git.example.com/team/app", true},
		{"https://git.example.com/team", "https://git.example.com/team/app", true},
		{"https://git.example.com", "https://git.example.com/team/app", true},
		{"https://git.example.com/team/app", "https://git.example.com/team/app", true},
		{"https://git.example.com/", "https://git.example.com", true},
		{"https://git.example.com/team", "https://git.example.com/teams/app", false},
		{"https://git.example.com/team", "https://git.example.com/team/../other/app", false},
		{"https://git.example.com/team", "https://git.example.com/team/%2e%2e/other/app", false},
		{"https://git.example.com/", "https://git.example.com.evil.org/app", false},
		{"https://git.example.com/", "https://git.example.com@evil.org/app", false},
		{"https://git.example.com/", "ssh://git@git.example.com/app", false},
		{"git@git.example.com:team/", "git@git.example.com:team/app", true},
		{"git@git.example.com:team/", "root@git.example.com:team/app", false},
		{"https://git.example.com:8443/", "https://git.example.com/app", false},
		{"", "https://git.example.com/app", false},
	} {
		if got := Allow([]string{test.url}, test.place); got != test.want {
			t.Errorf("credentials for %q go to %s: %v", test.url, test.place, got)
		}
	}
}
