package git

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// maxLine bounds what is told of a commit, in bytes: a line for people.
	maxLine = 256
	// maxCommit is the largest commit or tag that is read, in bytes: a thousand times what people write.
	maxCommit = 4 << 20
)

// Commit is one that was found.
type Commit struct {
	// Hash has 40 hexadecimal digits.
	Hash string
	// Ref is the branch or tag by which it was found; empty where it was named by its hash.
	Ref string
	// Author, as NAME <ADDRESS>, and the message's first line. Both are cut, and hold nothing that is not for people. They are empty, and Tree is nil, where the commit was known.
	Author, Subject string
	// Signer is whose signature was checked, if any was wanted, with the key's fingerprint.
	Signer string
	// Tree is what the commit holds, for as long as its cache is not asked again.
	Tree fs.FS
}

// commitOf reads a commit. A [*reach.Error] is about the commit, any other about the cache.
func commitOf(storage *filesystem.Storage, t target, v *yardarmv1.GitVerification) (*Commit, error) {
	for _, hash := range []plumbing.Hash{t.commit, t.want} {
		size, err := storage.EncodedObjectSize(hash)
		if err != nil {
			return nil, fmt.Errorf("read commit %s from the cache: %w", t.commit, err)
		}
		if size > maxCommit {
			return nil, reach.Failed(yardarmv1.SourceTooLarge, "commit %s, or its tag, is larger than %d bytes", t.commit, maxCommit)
		}
	}
	c, err := object.GetCommit(storage, t.commit)
	if err != nil {
		return nil, fmt.Errorf("read commit %s from the cache: %w", t.commit, err)
	}
	signer := ""
	switch {
	case v.GetMode() == yardarmv1.VerifyTag:
		signer, err = verifyTag(storage, t, v)
	case v != nil:
		c, signer, err = verifiedCommit(c, v)
	}
	if err != nil {
		return nil, err
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return &Commit{
		Hash: t.commit.String(), Ref: t.name, Author: line(fmt.Sprintf("%s <%s>", c.Author.Name, c.Author.Email)), Subject: line(subject), Signer: signer,
		Tree: newTree(storage, c.TreeHash),
	}, nil
}

// line makes a line for people of what a stranger wrote.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) <= maxLine {
		return text
	}
	cut := maxLine - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
