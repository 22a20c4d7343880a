package chart

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
	"go.yaml.in/yaml/v3"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// index is what is needed of an index.yaml.
type index struct {
	Entries map[string][]entry `yaml:"entries"`
}

// entry is a version of a chart.
type entry struct {
	Version string   `yaml:"version"`
	Digest  string   `yaml:"digest"`
	URLs    []string `yaml:"urls"`
}

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func parseIndex(data []byte) (*index, error) {
	i := &index{}
	if err := yaml.Unmarshal(data, i); err != nil {
		return nil, reach.Failed(yardarmv1.SourceNotFound, "the index.yaml there cannot be read; look whether the URL is that of a chart repository: %w", err)
	}
	return i, nil
}

// pick finds the version of a chart that is wanted: that very one, or the highest in a range.
func (i *index) pick(chart, wanted string) (entry, error) {
	entries, ok := i.Entries[chart]
	if !ok {
		return entry{}, reach.Failed(yardarmv1.SourceRefNotFound, "the repository has no chart %q", chart)
	}
	for _, e := range entries {
		if e.Version == wanted {
			return e.checked(chart)
		}
	}
	constraint, err := Versions(wanted)
	if err != nil {
		return entry{}, reach.Failed(yardarmv1.SourceRefNotFound, "%q is no version, and no range of versions: %w", wanted, err)
	}
	var best *semver.Version
	var found entry
	for _, e := range entries {
		if v, err := semver.NewVersion(e.Version); err == nil && constraint.Check(v) && (best == nil || v.GreaterThan(best)) {
			best, found = v, e
		}
	}
	if best == nil {
		return entry{}, reach.Failed(yardarmv1.SourceRefNotFound, "the repository has no version of the chart %q that is in %q", chart, wanted)
	}
	return found.checked(chart)
}

// checked is an entry whose digest is one, in our form, or missing.
func (e entry) checked(chart string) (entry, error) {
	if len(e.URLs) == 0 {
		return e, reach.Failed(yardarmv1.SourceRefNotFound, "the repository's index does not say where version %s of the chart %q is", e.Version, chart)
	}
	digest := strings.TrimPrefix(e.Digest, "sha256:")
	if e.Digest = ""; hexDigest.MatchString(digest) {
		e.Digest = "sha256:" + digest
	}
	return e, nil
}

// Versions is a range of versions, as people write it; all that are no pre-releases where nothing is written.
func Versions(text string) (*semver.Constraints, error) {
	if text == "" {
		text = "*"
	}
	return semver.NewConstraint(text)
}

// maxURL is the longest URL of a repository, in bytes.
const maxURL = 2048

// ParseURL takes a chart repository's URL.
func ParseURL(text string) (*url.URL, error) {
	switch u, err := url.Parse(text); {
	case text == "":
		return nil, errors.New("is missing")
	case len(text) > maxURL:
		return nil, fmt.Errorf("is longer than %d bytes", maxURL)
	case err != nil:
		return nil, errors.New("is no URL") // what is wrong with it quotes it, and there may be a password in it
	case u.User != nil:
		return nil, errors.New("holds a name or a password; make source credentials of them, and name those")
	case u.Scheme == "oci":
		return nil, errors.New("is one of an OCI registry: such a chart has the source oci, not helm")
	case u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("must begin with https:// and a host")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("has a query or a fragment, which repositories have not")
	default:
		u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/index.yaml"), "/") + "/"
		return u, nil
	}
}
