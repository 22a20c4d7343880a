package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// logEnv makes this program the hub, and names the write-ahead log that cannot be synced once the process gets SIGUSR1.
const logEnv = "YARDARM_TEST_LOG"

func TestMain(m *testing.M) {
	if log := os.Getenv(logEnv); log != "" {
		go failSyncs(log)
		main()
		return
	}
	os.Exit(m.Run())
}

// failSyncs puts a device that takes everything and cannot sync in the place of the log's open file, and removes the link that
// tells that it has not yet.
func failSyncs(log string) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	<-asked
	err := errors.New("it is not open")
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, path := range open {
		if to, _ := os.Readlink(path); to != log {
			continue
		}
		var fd int
		device, openErr := os.OpenFile("/dev/null", os.O_RDWR, 0)
		_, scanErr := fmt.Sscanf(filepath.Base(path), "%d", &fd)
		if err = errors.Join(openErr, scanErr); err == nil {
			err = syscall.Dup3(int(device.Fd()), fd, syscall.O_CLOEXEC)
		}
	}
	if err = errors.Join(err, os.Remove(log+".sound")); err != nil {
		fmt.Fprintln(os.Stderr, "make syncs fail:", err)
		os.Exit(3)
	}
}

// A hub whose disk cannot sync ends, says what to do, and has not retried; what it had acknowledged is there after a restart, and
// what it had refused is not.
func TestSyncFailure(t *testing.T) {
	data, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log, ip := filepath.Join(data, "hub.wal"), address(3)
	if err := os.WriteFile(log+".sound", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	hub := start(t, ip, data, log)
	fleet := administrator(t, data)
	if err := apply(t, fleet, "acknowledged"); err != nil {
		t.Fatal(err)
	}
	if err := hub.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	await(t, "syncs fail", func() bool {
		_, err := os.Stat(log + ".sound")
		return errors.Is(err, os.ErrNotExist)
	})
	if err := apply(t, fleet, "refused"); err == nil || !strings.Contains(err.Error(), "check the disk") {
		t.Errorf("a change whose sync fails is answered with %v", err)
	}
	select {
	case err = <-hub.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("the hub goes on")
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the hub ends with %v", err)
	}
	_, last, _ := strings.Cut(hub.said.String(), "\nyardarm-hub: ")
	if want := "check the disk and restart the hub"; strings.Count(last, want) != 1 || !strings.Contains(last, data) {
		t.Errorf("want %q once, got:\n%s", want, last)
	}

	start(t, ip, data, log)
	fleet = administrator(t, data)
	var there []string
	for g, err := range fleet.ClusterGroups(t.Context(), &hubv1.ListClusterGroupsRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		there = append(there, g.Metadata.Name)
	}
	if len(there) != 1 || there[0] != "acknowledged" {
		t.Errorf("after a restart there are %v", there)
	}
}

// started is a hub in a process of its own.
type started struct {
	*exec.Cmd
	said  bytes.Buffer
	ended chan error
}

// start runs a hub until it ends, or the test does, and returns once it is ready.
func start(t *testing.T, ip, data, log string) *started {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &started{ended: make(chan error, 1)}
	h.Cmd = exec.Command(program, "run", "--data-dir", data, "--address", ip,
		"--listen", ip+":7443", "--spoke-listen", ip+":7444", "--metrics-listen", ip+":7445")
	h.Env, h.Stderr = append(os.Environ(), logEnv+"="+log), &h.said
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { h.ended <- h.Wait(); close(h.ended) }()
	t.Cleanup(func() { _ = h.Process.Kill(); <-h.ended })
	await(t, "the hub is ready", func() bool {
		response, err := http.Get("http://" + ip + ":7445/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return h
}

// administrator calls the hub on a data directory.
func administrator(t *testing.T, data string) *client.Client {
	t.Helper()
	config, err := clientconfig.Load(filepath.Join(data, "admin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	where, err := config.Context("")
	if err != nil {
		t.Fatal(err)
	}
	to, err := client.FromContext(*where)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// apply makes a group of all clusters.
func apply(t *testing.T, c *client.Client, name string) error {
	_, err := c.Apply(t.Context(), &hubv1.ApplyRequest{Resources: []*hubv1.Resource{{Resource: &hubv1.Resource_ClusterGroup{ClusterGroup: &yardarmv1.ClusterGroup{
		ApiVersion: yardarmv1.APIVersion, Kind: yardarmv1.KindClusterGroup, Metadata: &yardarmv1.ObjectMeta{Name: name},
		Spec: &yardarmv1.ClusterGroupSpec{Selector: &yardarmv1.LabelSelector{}},
	}}}}})
	return err
}

// await polls until check is content.
func await(t *testing.T, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
