package gittest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const (
	// sshd is where distributions have it, which is in the PATH of root alone.
	sshd = "/usr/sbin/sshd"
	// privileged is a directory without which sshd does nothing for root. Services make it when they start theirs.
	privileged = "/run/sshd"
)

// SSHServer serves a repository by OpenSSH's server, which calls Git's own programs.
type SSHServer struct {
	testing.TB
	// Repo is where it is, as in ssh://ada@127.0.0.1:1234/tmp/repo, and Host what ends before its path.
	Repo, Host string
	// Key is a private key that it lets in, in PEM, and KnownHosts a line with its own.
	Key, KnownHosts string
	// Connections counts those that were made.
	Connections atomic.Int32

	dir, address string
	// mu is held while a server starts: one that has been heard is among the sessions.
	mu       sync.Mutex
	sessions sync.WaitGroup
}

// ServeSSH serves a repository. Where there is no sshd, the test is skipped.
func ServeSSH(r *Repository) *SSHServer {
	r.Helper()
	if _, err := os.Stat(sshd); err != nil {
		r.Skipf("there is no %s: bash .ci/tools ssh installs it on Debian", sshd)
	}
	me, err := user.Current()
	if err != nil {
		r.Fatal(err)
	}
	if me.Uid == "0" {
		if err := os.MkdirAll(privileged, 0o755); err != nil {
			r.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	s := &SSHServer{TB: r, dir: r.TempDir(), address: listener.Addr().String()}
	s.Host = fmt.Sprintf("ssh://%s@%s", me.Username, s.address)
	s.Repo = s.Host + r.Dir
	var public string
	s.Key, public = NewKey(r)
	s.write("authorized", public)
	s.write("config", strings.Join([]string{
		"HostKey " + s.path("host"), "HostKey " + s.path("host-old"), "AuthorizedKeysFile " + s.path("authorized"), "PidFile none", "LogLevel DEBUG",
		"StrictModes no", // the directories of tests are below one that all may write
		"UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password",
		"SetEnv HOME=" + filepath.Dir(r.Dir), // the repository is ~/repo, and the user's own settings of Git are not those of the test
	}, "\n"))
	s.Rekey()
	var accepts sync.WaitGroup
	accepts.Go(func() { s.accept(listener) })
	r.Cleanup(func() { _ = listener.Close(); accepts.Wait(); s.sessions.Wait() })
	return s
}

// accept gives each connection a server of its own, as inetd does: so the test has the port before there is a server, and each reads its files anew.
func (s *SSHServer) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.Errorf("accept SSH: %v", err)
			return
		}
		s.Connections.Add(1)
		file, err := conn.(*net.TCPConn).File()
		_ = conn.Close()
		if err != nil {
			s.Errorf("accept SSH: %v", err)
			continue
		}
		s.serve(file)
	}
}

// serve starts a server for a connection, which ends with it.
func (s *SSHServer) serve(conn *os.File) {
	defer conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd := exec.Command(sshd, "-i", "-f", s.path("config"), "-E", s.path("log"))
	cmd.Stdin, cmd.Stdout = conn, conn
	if err := cmd.Start(); err != nil {
		s.Errorf("start %s: %v", sshd, err)
		return
	}
	s.sessions.Go(func() { _ = cmd.Wait() }) // what it answers to a client that leaves is no matter
}

// Rekey gives the server other keys of its own; KnownHosts has the newer one from then on.
func (s *SSHServer) Rekey() {
	s.Helper()
	old, _ := NewOldKey(s)
	s.write("host-old", old)
	private, public := NewKey(s)
	s.write("host", private)
	s.KnownHosts = knownhosts.Normalize(s.address) + " " + public
}

// Said is what the servers have said since it was read last. It waits for those that still run, which end with their connections.
func (s *SSHServer) Said() string {
	s.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions.Wait()
	text, err := os.ReadFile(s.path("log"))
	if err == nil {
		err = os.Remove(s.path("log"))
	}
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

func (s *SSHServer) path(name string) string { return filepath.Join(s.dir, name) }

func (s *SSHServer) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(s.path(name), append(bytes.TrimSpace([]byte(text)), '\n'), 0o600); err != nil {
		s.Fatal(err)
	}
}

// NewKey makes a pair of keys: the private one in PEM, the public one as in authorized_keys.
func NewKey(t testing.TB) (private, public string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return marshal(t, key)
}

// NewOldKey makes a pair of the older kind that servers have beside the other one.
func NewOldKey(t testing.TB) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return marshal(t, key)
}

func marshal(t testing.TB, key crypto.Signer) (private, public string) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	half, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(half))
}
