package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/yardarm-dev/yardarm/hub/source/reach"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// handshakeTime is how long a server may take to show its key and to judge the hub's, for which some ask others.
const handshakeTime = 30 * time.Second

// sshSession is git-upload-pack run on a server.
type sshSession struct {
	ctx     context.Context
	host    string
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
	_ = conn.SetDeadline(time.Now().Add(handshakeTime))
	handshake, channels, requests, err := ssh.NewClientConn(conn, address(r.URL), config)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, handshakeFailed(host, cmp.Or(context.Cause(ctx), err))
	}
	_ = conn.SetDeadline(time.Time{})
	s := &sshSession{ctx: ctx, host: host, client: ssh.NewClient(handshake, channels, requests), stop: stop}
	if err := s.start(r.URL.Path); err != nil {
		_ = s.Close()
		return nil, reach.Unreachable(host, cmp.Or(context.Cause(ctx), err))
	}
	return s, nil
}

// start runs the program that gives packs. ParseURL lets no quote into a path, and no path be an option. As with Git, one below ~ begins in a home.
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
	if strings.HasPrefix(path, "/~") {
		path = path[1:]
	}
	return s.session.Start(uploadPack + " '" + path + "'")
}

func (s *sshSession) refs() (io.Reader, error) {
	// A server that has no such repository says so on its other stream, and nothing on this one.
	first := make([]byte, 1)
	if _, err := io.ReadFull(s.out, first); err != nil {
		return nil, s.ended()
	}
	return io.MultiReader(bytes.NewReader(first), s.out), nil
}

// ended says why there is no answer: the server's program has ended by itself, or the connection has.
func (s *sshSession) ended() error {
	err := s.session.Wait()
	var exit *ssh.ExitError
	if err == nil || errors.As(err, &exit) {
		return reach.Failed(yardarmv1.SourceNotFound, "%s has no such repository, or does not show it to this key", s.host)
	}
	return reach.Unreachable(s.host, cmp.Or(context.Cause(s.ctx), err))
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
	hosts, err := parseKnownHosts(r.Credentials.KnownHosts)
	if err != nil {
		return nil, err
	}
	// Left to itself, a server may show a key of another kind than the one that is known. None is shown by SHA-1, which can be forged.
	algorithms := slices.DeleteFunc(hosts.HostKeyAlgorithms(address(r.URL)), func(a string) bool { return a == ssh.KeyAlgoRSA || a == ssh.CertAlgoRSAv01 })
	if len(algorithms) == 0 {
		return nil, reach.Failed(yardarmv1.SourceNotTrusted, "the credentials' known hosts hold no key of %s (%s)", r.URL.Host, keyscan(r.URL))
	}
	known := hosts.HostKeyCallback()
	return &ssh.ClientConfig{User: r.URL.User.Username(), Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyAlgorithms: algorithms,
		HostKeyCallback: func(name string, from net.Addr, key ssh.PublicKey) error {
			if err := known(name, from, key); err != nil {
				return otherKey(r.URL.Host, err)
			}
			return nil
		}}, nil
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

// handshakeFailed says why a server and the hub have not come to terms. For some reasons the library has words alone.
func handshakeFailed(host string, err error) error {
	var kinds *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &kinds) && kinds.What == "host key":
		return otherKey(host, err)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return reach.Failed(yardarmv1.SourceDenied, "%s refuses the credentials' key", host)
	}
	return reach.Unreachable(host, err)
}

func otherKey(host string, err error) error {
	return reach.Failed(yardarmv1.SourceNotTrusted, "%s shows another key than the credentials' known hosts hold; if that is meant, put the new one into them: %w", host, err)
}
