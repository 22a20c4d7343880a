package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// sshSession is git-upload-pack run on a server.
type sshSession struct {
	client  *ssh.Client
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	stop    func() bool
}

func dialSSH(ctx context.Context, r Remote) (session, error) {
	config, err := sshConfig(r)
	if err != nil {
		return nil, err
	}
	host := r.URL.Host
	conn, err := r.Dialer.Dial(ctx, "tcp", address(r.URL))
	if err != nil {
		return nil, reach.Unreachable(host, err)
	}
	// A handshake knows no context: the end of the connection ends it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	handshake, channels, requests, err := ssh.NewClientConn(conn, address(r.URL), config)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, handshakeFailed(host, err)
	}
	s := &sshSession{client: ssh.NewClient(handshake, channels, requests), stop: stop}
	if err := s.start(r.URL.Path); err != nil {
		_ = s.Close()
		return nil, reach.Unreachable(host, err)
	}
	return s, nil
}

// start runs the program that gives packs. ParseURL lets no quote into a path.
func (s *sshSession) start(path string) (err error) {
	if s.session, err = s.client.NewSession(); err != nil {
		return err
	}
	if s.in, err = s.session.StdinPipe(); err != nil {
		return err
	}
	if s.out, err = s.session.StdoutPipe(); err != nil {
		return err
	}
	return s.session.Start(uploadPack + " '" + path + "'")
}

func (s *sshSession) refs() (io.Reader, error) {
	// A server that has no such repository says so on its other stream, and nothing on this one.
	first := make([]byte, 1)
	if _, err := io.ReadFull(s.out, first); err != nil {
		return nil, reach.Failed(yardarmv1.SourceNotFound, "the server has no such repository, or does not show it to this key")
	}
	return io.MultiReader(bytes.NewReader(first), s.out), nil
}

func (s *sshSession) ask(request []byte) (io.Reader, error) {
	if _, err := s.in.Write(request); err != nil {
		return nil, fmt.Errorf("ask a Git server: %w", err)
	}
	return s.out, nil
}

func (s *sshSession) Close() error {
	s.stop()
	return s.client.Close()
}

// sshConfig is how a server is told who calls, and known by its key. A server whose key is not given is never taken for the right one.
func sshConfig(r Remote) (*ssh.ClientConfig, error) {
	if len(r.Credentials.Key) == 0 {
		return nil, reach.Failed(yardarmv1.SourceNoCredentials, "SSH wants a private key; name credentials that have one")
	}
	signer, err := privateKey(r.Credentials.Key)
	if err != nil {
		return nil, err
	}
	algorithms, err := hostKeyAlgorithms(r.Credentials.KnownHosts)
	if err != nil {
		return nil, err
	}
	check, err := hostKeys(r.Credentials.KnownHosts)
	if err != nil {
		return nil, err
	}
	return &ssh.ClientConfig{User: r.URL.User.Username(), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: check,
		HostKeyAlgorithms: algorithms, Timeout: reach.DialTimeout}, nil
}

func privateKey(key []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil { // the error might quote it
		return nil, reach.Failed(yardarmv1.SourceNoCredentials, "the private key cannot be read: it has to be one without a passphrase, in PEM or OpenSSH's own form")
	}
	return signer, nil
}

// CheckKey tells whether a private key can be used.
func CheckKey(key []byte) error {
	_, err := privateKey(key)
	return err
}

// CheckKnownHosts tells whether known hosts can be used.
func CheckKnownHosts(known []byte) error {
	_, err := hostKeyAlgorithms(known)
	return err
}

// hostKeys checks a server's key against known ones. The library reads files alone.
func hostKeys(known []byte) (ssh.HostKeyCallback, error) {
	file, err := os.CreateTemp("", "known-hosts-")
	if err != nil {
		return nil, fmt.Errorf("check the server's key: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(known); err != nil {
		return nil, fmt.Errorf("check the server's key: %w", err)
	}
	check, err := knownhosts.New(file.Name())
	if err != nil {
		return nil, reach.Failed(yardarmv1.SourceNoCredentials, "the known hosts cannot be read; they are lines as in OpenSSH's known_hosts")
	}
	return check, nil
}

// hostKeyAlgorithms are those that the known keys can be shown by: left to itself, a server may show a key of another kind than the one that is known.
func hostKeyAlgorithms(known []byte) ([]string, error) {
	var out []string
	for rest := known; len(rest) > 0; {
		_, _, key, _, next, err := ssh.ParseKnownHosts(rest)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, reach.Failed(yardarmv1.SourceNoCredentials, "the known hosts cannot be read; they are lines as in OpenSSH's known_hosts")
		}
		kinds := []string{key.Type()}
		if key.Type() == ssh.KeyAlgoRSA {
			kinds = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		out, rest = append(out, kinds...), next
	}
	if len(out) == 0 {
		return nil, reach.Failed(yardarmv1.SourceNoCredentials, "SSH wants the server's key; the credentials need known hosts, as ssh-keyscan prints them")
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func handshakeFailed(host string, err error) error {
	var key *knownhosts.KeyError
	var network net.Error
	switch {
	case errors.As(err, &key) && len(key.Want) > 0:
		return reach.Failed(yardarmv1.SourceNotTrusted, "%s shows another key than the known one; if that is meant, put the new one into the credentials' known hosts: %w", host, err)
	case errors.As(err, &key):
		return reach.Failed(yardarmv1.SourceNotTrusted, "the key of %s is not among the credentials' known hosts: %w", host, err)
	case errors.As(err, &network):
		return reach.Unreachable(host, err)
	case strings.Contains(err.Error(), "unable to authenticate"): // the library has no error of its own for it
		return reach.Failed(yardarmv1.SourceDenied, "%s refuses the credentials' key", host)
	}
	return reach.Unreachable(host, err)
}
