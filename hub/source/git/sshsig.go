package git

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

const (
	// signatureType is what a signature's armour calls it.
	signatureType = "SSH SIGNATURE"
	// preamble is what a signature begins with, and what is signed.
	preamble = "SSHSIG"
	// namespace is what Git signs for: a signature of another purpose under the same key is none of a commit.
	namespace = "git"
)

// signatureKinds are the ways to sign that each kind of key has. SHA-1 is none of them, nor is DSA.
var signatureKinds = map[string][]string{
	ssh.KeyAlgoED25519: {ssh.KeyAlgoED25519}, ssh.KeyAlgoSKED25519: {ssh.KeyAlgoSKED25519}, ssh.KeyAlgoSKECDSA256: {ssh.KeyAlgoSKECDSA256},
	ssh.KeyAlgoECDSA256: {ssh.KeyAlgoECDSA256}, ssh.KeyAlgoECDSA384: {ssh.KeyAlgoECDSA384}, ssh.KeyAlgoECDSA521: {ssh.KeyAlgoECDSA521},
	ssh.KeyAlgoRSA: {ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
}

// sshSignature is a signature as `ssh-keygen -Y sign` makes it, behind its preamble.
type sshSignature struct {
	Version                        uint32
	PublicKey                      []byte
	Namespace, Reserved, Algorithm string
	Signature                      []byte
}

// signedContent is what is signed in place of the content, behind the preamble.
type signedContent struct {
	Namespace, Reserved, Algorithm string
	Hash                           []byte
}

// parseSignature reads a signature in its armour, and the key that it says it is by. That says nothing of what it signs.
func parseSignature(armoured []byte) (*sshSignature, ssh.PublicKey, error) {
	block, rest := pem.Decode(armoured)
	if block == nil || block.Type != signatureType || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, errors.New("is not one of an SSH key (gpg.format=ssh)")
	}
	raw, ok := bytes.CutPrefix(block.Bytes, []byte(preamble))
	s := &sshSignature{}
	if !ok || ssh.Unmarshal(raw, s) != nil || s.Version != 1 {
		return nil, nil, errors.New("cannot be read")
	}
	key, err := ssh.ParsePublicKey(s.PublicKey)
	if err != nil || signatureKinds[key.Type()] == nil {
		return nil, nil, errors.New("is by a kind of key that does not count")
	}
	return s, key, nil
}

// check tells whether it is Git's signature of a content, by a key.
func (s *sshSignature) check(key ssh.PublicKey, content []byte) error {
	if s.Namespace != namespace {
		return fmt.Errorf("is for %q, and not for %q", line(s.Namespace), namespace)
	}
	signed := signedContent{s.Namespace, s.Reserved, s.Algorithm, nil}
	switch s.Algorithm {
	case "sha256":
		sum := sha256.Sum256(content)
		signed.Hash = sum[:]
	case "sha512":
		sum := sha512.Sum512(content)
		signed.Hash = sum[:]
	default:
		return errors.New("is of a hash that does not count: sha256 and sha512 do")
	}
	signature := &ssh.Signature{}
	if ssh.Unmarshal(s.Signature, signature) != nil || !slices.Contains(signatureKinds[key.Type()], signature.Format) {
		return errors.New("is made in a way that does not count, such as by SHA-1")
	}
	if key.Verify(append([]byte(preamble), ssh.Marshal(signed)...), signature) != nil {
		return errors.New("is not of what is there")
	}
	return nil
}
