package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/process"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

const (
	apiPort, spokePort, metricsPort = 7443, 7444, 7445

	// startTimeout bounds how long a program may take to be ready.
	startTimeout = 30 * time.Second
	// hubGrace is longer than the hub takes to drain.
	hubGrace = 10 * time.Second
)

// HubConfig says how to run a hub.
type HubConfig struct {
	Programs Programs
	// Dir holds its data directory and its log.
	Dir string
	// Address is the IP to listen on. Default: a loopback address of its own.
	Address string
	// Netns is the network namespace to run in; see [process.Program]. Address has to be reached from this one.
	Netns string
	// Flags are added to those that the harness needs.
	Flags []string
	// Env is added to its environment.
	Env []string
}

// Hub is a hub that can be stopped and started.
type Hub struct {
	config  HubConfig
	process *process.Process // nil while stopped
}

// NewHub makes the folders; Start starts it.
func NewHub(c HubConfig) (*Hub, error) {
	if c.Address == "" {
		c.Address = nextAddress()
	}
	h := &Hub{config: c}
	return h, os.MkdirAll(c.Dir, 0o755)
}

// Start starts the hub and awaits that it serves.
func (h *Hub) Start(ctx context.Context) error {
	c := h.config
	p, err := process.Start(process.Program{
		Path: c.Programs.Path("yardarm-hub"), Dir: c.Dir, Env: c.Env, Grace: hubGrace, Netns: c.Netns,
		Args: append([]string{
			"run", "--data-dir", h.DataDir(), "--address", c.Address,
			"--listen", fmt.Sprintf("%s:%d", c.Address, apiPort),
			"--spoke-listen", h.SpokeAddress(),
			"--metrics-listen", fmt.Sprintf("%s:%d", c.Address, metricsPort),
		}, c.Flags...),
	})
	if err != nil {
		return err
	}
	h.process = p
	return awaitHTTP(ctx, p, h.MetricsURL()+"/readyz")
}

// SetPrograms has the next start be of other programs: an upgrade.
func (h *Hub) SetPrograms(p Programs) { h.config.Programs = p }

// SetFlags has the next start add these flags, and none of those of before.
func (h *Hub) SetFlags(flags ...string) { h.config.Flags = flags }

// Process is the running program; nil while stopped.
func (h *Hub) Process() *process.Process { return h.process }

// DataDir is its data directory.
func (h *Hub) DataDir() string { return filepath.Join(h.config.Dir, "data") }

// AdminConfig is the file with the local administrator's credential.
func (h *Hub) AdminConfig() string { return filepath.Join(h.DataDir(), "admin.yaml") }

// SpokeAddress is where spokes dial.
func (h *Hub) SpokeAddress() string { return fmt.Sprintf("%s:%d", h.config.Address, spokePort) }

// URL is where people call.
func (h *Hub) URL() string { return fmt.Sprintf("https://%s:%d", h.config.Address, apiPort) }

// MetricsURL is where metrics and health are served, without TLS.
func (h *Hub) MetricsURL() string { return fmt.Sprintf("http://%s:%d", h.config.Address, metricsPort) }

// Stop ends it as an operator would.
func (h *Hub) Stop() error {
	if h.process == nil {
		return nil
	}
	p := h.process
	h.process = nil
	return p.Stop()
}

// Kill ends it as a power failure would.
func (h *Hub) Kill() error {
	p := h.process
	h.process = nil
	return p.Kill()
}

// Client calls it as the local administrator.
func (h *Hub) Client() (*client.Client, error) {
	where, err := h.context()
	if err != nil {
		return nil, err
	}
	config, err := client.FromContext(*where)
	if err != nil {
		return nil, err
	}
	return client.New(config)
}

// HTTP is a client for its REST API, and the token to send.
func (h *Hub) HTTP() (*http.Client, string, error) {
	where, err := h.context()
	if err != nil {
		return nil, "", err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(where.CA)) {
		return nil, "", errors.New("the local administrator's file has no CA")
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}, where.Token, nil
}

// WriteCurl writes what curl needs to call it into a folder: ca.pem, and the header that says who calls.
func (h *Hub) WriteCurl(dir string) (ca, header string, err error) {
	where, err := h.context()
	if err != nil {
		return "", "", err
	}
	ca, header = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "header")
	return ca, header, errors.Join(
		os.WriteFile(ca, []byte(where.CA), 0o644),
		os.WriteFile(header, []byte("Authorization: Bearer "+where.Token+"\n"), 0o600))
}

func (h *Hub) context() (*clientconfig.Context, error) {
	config, err := clientconfig.Load(h.AdminConfig())
	if err != nil {
		return nil, err
	}
	return config.Context("")
}

// Run runs yardarm-hub beside the hub: backup, restore and so on.
func (h *Hub) Run(ctx context.Context, args ...string) Result {
	return run(ctx, h.config.Programs.Path("yardarm-hub"), nil, "", args)
}

// awaitHTTP waits until a URL answers 200, or the program has ended.
func awaitHTTP(ctx context.Context, p *process.Process, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(response.Status)
		}
		select {
		case <-p.Done():
			return p.Fail(errors.New("it ended"))
		case <-ctx.Done():
			return p.Fail(fmt.Errorf("it did not become ready: %w", err))
		case <-ticker.C:
		}
	}
}
