package git

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// maxLine bounds what is told of a commit, in bytes: a line for people.
const maxLine = 256

// Commit is one that was found.
type Commit struct {
	// Hash has 40 hexadecimal digits.
	Hash string
	// Ref is the branch or tag by which it was found; empty where it was named by its hash.
	Ref string
	// Author, as NAME <ADDRESS>, and the message's first line. Both are cut, and hold nothing that is not for people. They are empty, and Tree is nil, where the commit was known.
	Author, Subject string
	// Tree is what the commit holds, for as long as its cache is not asked again.
	Tree fs.FS
}

func commitOf(storage *filesystem.Storage, t target) (*Commit, error) {
	c, err := object.GetCommit(storage, t.commit)
	if err != nil {
		return nil, fmt.Errorf("read commit %s from the cache: %w", t.commit, err)
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return &Commit{
		Hash: t.commit.String(), Ref: t.name, Author: line(fmt.Sprintf("%s <%s>", c.Author.Name, c.Author.Email)), Subject: line(subject),
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
