package git

import (
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	branchPrefix = "refs/heads/"
	tagPrefix    = "refs/tags/"
)

// target is what a ref means on a server now: the object to ask for, and the commit that it leads to. Of an annotated tag, these are two.
type target struct {
	want, commit plumbing.Hash
	// name is the branch or tag; empty where a commit was named that has none.
	name string
}

// known is the commit as far as the server has told of it.
func (t target) known() *Commit { return &Commit{Hash: t.commit.String(), Ref: t.name} }

// resolve finds what a ref means among what a server has.
func resolve(refs *packp.AdvRefs, ref *yardarmv1.GitRef) (target, error) {
	switch {
	case ref.GetCommit() != "":
		return resolveCommit(refs, plumbing.NewHash(ref.GetCommit()))
	case ref.GetSemver() != "":
		return resolveVersion(refs, ref.GetSemver())
	case ref.GetTag() != "":
		if t, ok := at(refs, tagPrefix+ref.GetTag()); ok {
			return t, nil
		}
		return target{}, reach.Failed(yardarmv1.SourceRefNotFound, "the repository has no tag %q", ref.GetTag())
	case ref.GetBranch() != "":
		if t, ok := at(refs, branchPrefix+ref.GetBranch()); ok {
			return t, nil
		}
		return target{}, reach.Failed(yardarmv1.SourceRefNotFound, "the repository has no branch %q", ref.GetBranch())
	}
	if refs.Head == nil {
		return target{}, reach.Failed(yardarmv1.SourceRefNotFound, "the repository is empty, or has no branch of its own; name one in the source")
	}
	t := target{want: *refs.Head, commit: *refs.Head}
	for _, link := range refs.Capabilities.Get(capability.SymRef) {
		if name, ok := strings.CutPrefix(link, "HEAD:"+branchPrefix); ok {
			t.name = name
		}
	}
	return t, nil
}

// at is what a ref of this full name means.
func at(refs *packp.AdvRefs, name string) (target, bool) {
	hash, ok := refs.References[name]
	if !ok {
		return target{}, false
	}
	t := target{want: hash, commit: hash, name: strings.TrimPrefix(strings.TrimPrefix(name, branchPrefix), tagPrefix)}
	if peeled, ok := refs.Peeled[name]; ok {
		t.commit = peeled
	}
	return t, true
}

// resolveCommit finds a commit at a tip, or else asks for it by its hash alone, which not every server grants.
func resolveCommit(refs *packp.AdvRefs, hash plumbing.Hash) (target, error) {
	for name := range refs.References {
		if t, _ := at(refs, name); t.commit == hash {
			return target{want: t.want, commit: hash}, nil
		}
	}
	if refs.Capabilities.Supports(capability.AllowReachableSHA1InWant) || refs.Capabilities.Supports("allow-any-sha1-in-want") {
		return target{want: hash, commit: hash}, nil
	}
	return target{}, reach.Failed(yardarmv1.SourceRefNotFound,
		"commit %s is at no branch or tag, and the server gives no others (uploadpack.allowReachableSHA1InWant); name a tag", hash)
}

// resolveVersion finds the highest version in a range among the tags.
func resolveVersion(refs *packp.AdvRefs, text string) (target, error) {
	constraint, err := semver.NewConstraint(text)
	if err != nil {
		return target{}, reach.Failed(yardarmv1.SourceRefNotFound, "%q is no range of versions: %w", text, err)
	}
	var best *semver.Version
	var found string
	for name := range refs.References {
		tag, ok := strings.CutPrefix(name, tagPrefix)
		if !ok {
			continue
		}
		version, err := semver.NewVersion(tag)
		if err != nil || !constraint.Check(version) {
			continue
		}
		// Of two tags for one version, as in v1.2 and 1.2.0, always the same.
		if best == nil || version.GreaterThan(best) || version.Equal(best) && name < found {
			best, found = version, name
		}
	}
	if best == nil {
		return target{}, reach.Failed(yardarmv1.SourceRefNotFound, "the repository has no tag that is a version in %q", text)
	}
	t, _ := at(refs, found)
	return t, nil
}
