package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"golang.org/x/crypto/ssh"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// ParseKey takes a public key of a signer, as in OpenSSH's .pub files.
func ParseKey(text string) (ssh.PublicKey, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
	switch {
	case err != nil || len(options) > 0 || len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("is no public key, such as ssh-ed25519 AAAA…: all of a .pub file, and nothing else")
	case signatureKinds[key.Type()] == nil:
		return nil, fmt.Errorf("is of the kind %s, which does not count", key.Type())
	}
	return key, nil
}

// signed is a commit or a tag, divided into what is signed and its signature.
type signed struct {
	// name is what people call it.
	name               string
	content, signature []byte
	when               time.Time
}

// signer is whose signature it is, of those who may have signed, with the key's fingerprint.
func (s signed) signer(v *yardarmv1.GitVerification) (string, error) {
	if len(s.signature) == 0 {
		return "", notSigned("%s is not signed, and the source wants it to be", s.name)
	}
	signature, key, err := parseSignature(s.signature)
	if err != nil {
		return "", notSigned("the signature of %s %w", s.name, err)
	}
	found := signerOf(v, key)
	if found == nil {
		return "", notSigned("%s is signed with a key that is none of the source's signers' (%s)", s.name, ssh.FingerprintSHA256(key))
	}
	if err := signature.check(key, s.content); err != nil {
		return "", notSigned("the signature of %s %w", s.name, err)
	}
	at := s.when.UTC().Format(time.RFC3339)
	if after := found.GetValidAfter(); after != nil && s.when.Before(after.AsTime()) {
		return "", notSigned("%s is of %s, and the key of %s counts from %s", s.name, at, found.GetName(), after.AsTime().Format(time.RFC3339))
	}
	if before := found.GetValidBefore(); before != nil && !s.when.Before(before.AsTime()) {
		return "", notSigned("%s is of %s, and the key of %s has counted until %s", s.name, at, found.GetName(), before.AsTime().Format(time.RFC3339))
	}
	return found.GetName() + " " + ssh.FingerprintSHA256(key), nil
}

// signerOf is who signs with a key; nil if nobody does.
func signerOf(v *yardarmv1.GitVerification, key ssh.PublicKey) *yardarmv1.GitSigner {
	for _, s := range v.GetSigners() {
		for _, text := range s.GetKeys() {
			if k, err := ParseKey(text); err == nil && bytes.Equal(k.Marshal(), key.Marshal()) {
				return s
			}
		}
	}
	return nil
}

func notSigned(format string, args ...any) error {
	return reach.Failed(yardarmv1.SourceNotSigned, format, args...)
}

// verifiedCommit reads a commit out of what is signed of it, so that what counts is what the signature is of.
func verifiedCommit(c *object.Commit, v *yardarmv1.GitVerification) (*object.Commit, string, error) {
	content := &plumbing.MemoryObject{}
	if err := c.EncodeWithoutSignature(content); err != nil {
		return nil, "", fmt.Errorf("read commit %s: %w", c.Hash, err)
	}
	signer, err := signed{"commit " + c.Hash.String(), bytesOf(content), []byte(c.PGPSignature), c.Committer.When}.signer(v)
	if err != nil {
		return nil, "", err
	}
	out := &object.Commit{}
	if err := out.Decode(content); err != nil {
		return nil, "", fmt.Errorf("read commit %s: %w", c.Hash, err)
	}
	return out, signer, nil
}

// verifyTag tells who has signed that a tag of this name leads to the commit. The server's word is not enough: it may call a tag by another name, such as a newer version.
func verifyTag(storage *filesystem.Storage, t target, v *yardarmv1.GitVerification) (signer string, err error) {
	name := fmt.Sprintf("tag %q (commit %s)", line(t.name), t.commit)
	if t.want == t.commit {
		return "", notSigned("%s is not annotated, and so cannot be signed", name)
	}
	tag, err := object.GetTag(storage, t.want)
	if err != nil {
		return "", fmt.Errorf("read tag %s from the cache: %w", t.want, err)
	}
	content := &plumbing.MemoryObject{}
	if err := tag.EncodeWithoutSignature(content); err != nil {
		return "", fmt.Errorf("read tag %s: %w", t.want, err)
	}
	if signer, err = (signed{name, bytesOf(content), []byte(tag.PGPSignature), tag.Tagger.When}).signer(v); err != nil {
		return "", err
	}
	said := &object.Tag{}
	if err := said.Decode(content); err != nil {
		return "", fmt.Errorf("read tag %s: %w", t.want, err)
	}
	if said.Name != t.name || said.TargetType != plumbing.CommitObject || said.Target != t.commit {
		return "", notSigned("what is signed under %s is tag %q of %s %s", name, line(said.Name), said.TargetType, said.Target)
	}
	return signer, nil
}

func bytesOf(o *plumbing.MemoryObject) []byte {
	r, _ := o.Reader() // of memory, which does not fail
	data, _ := io.ReadAll(r)
	return data
}
