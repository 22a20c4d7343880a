package api

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	heading     = regexp.MustCompile("(?m)^#+ (.*)$")
	punctuation = regexp.MustCompile("[^a-z0-9 -]")
)

// Pages that refusals name are there, with the headings that they are to open at.
func TestHelpIsThere(t *testing.T) {
	for reason, link := range helpOf {
		file, anchor, _ := strings.Cut(strings.TrimPrefix(link.Url, docs), "#")
		text, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Errorf("%s: %v", reason, err)
			continue
		}
		found := false
		for _, h := range heading.FindAllStringSubmatch(string(text), -1) {
			found = found || strings.ReplaceAll(punctuation.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == anchor
		}
		if !found {
			t.Errorf("%s: %s has no heading %q", reason, file, anchor)
		}
	}
}

// A refusal names the page about it, if there is one, and only once.
func TestRefusalsNameTheirHelp(t *testing.T) {
	for name, tc := range map[string]struct {
		st   *status.Status
		want string
	}{
		"by its reason": {func() *status.Status { st, _ := toStatus(busy("watches"), ""); return st }(), docs + "configure.md#limits"},
		"by its code":   {status.New(codes.Unauthenticated, "who?"), docs + "access.md#who-you-are-and-what-you-may-do"},
		"none":          {func() *status.Status { st, _ := toStatus(invalid("name", "is missing"), ""); return st }(), ""},
	} {
		var links []string
		for _, detail := range withHelp(tc.st).Details() {
			if help, ok := detail.(*errdetails.Help); ok {
				links = append(links, help.Links[0].Url)
			}
		}
		if got := strings.Join(links, " "); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
