package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/process"
)

// SpokeConfig says how to run a spoke.
type SpokeConfig struct {
	Programs Programs
	// Dir holds its state directory and its log.
	Dir string
	// Kubeconfig of its cluster.
	Kubeconfig string
	// Hub is where it dials.
	Hub string
	// Flags are added to those that the harness needs, and Env to its environment.
	Flags []string
	Env   []string
}

// Spoke is a spoke that can be stopped and started.
type Spoke struct {
	config  SpokeConfig
	metrics string
	process *process.Process // nil while stopped
}

// NewSpoke makes the folders; Enrol or Start starts it.
func NewSpoke(c SpokeConfig) (*Spoke, error) {
	s := &Spoke{config: c, metrics: fmt.Sprintf("%s:%d", nextAddress(), metricsPort)}
	return s, os.MkdirAll(c.Dir, 0o755)
}

// Start starts it with an enrolment token, which may be empty once it has an identity, and awaits that it reconciles.
func (s *Spoke) Start(ctx context.Context, token string) error {
	if err := s.Launch(token); err != nil {
		return err
	}
	return awaitHTTP(ctx, s.process, s.MetricsURL()+"/readyz")
}

// Launch starts it and awaits nothing.
func (s *Spoke) Launch(token string) error {
	c := s.config
	env := c.Env
	if token != "" {
		env = append([]string{"YARDARM_TOKEN=" + token}, env...)
	}
	p, err := process.Start(process.Program{
		Path: c.Programs.Path("yardarm-spoke"), Dir: c.Dir, Env: env, Grace: 5 * time.Second,
		Args: append([]string{
			"run", "--hub", c.Hub, "--kubeconfig", c.Kubeconfig, "--state-dir", s.StateDir(), "--metrics-listen", s.metrics,
		}, c.Flags...),
	})
	if err != nil {
		return err
	}
	s.process = p
	return nil
}

// SetPrograms has the next start be of other programs: an upgrade.
func (s *Spoke) SetPrograms(p Programs) { s.config.Programs = p }

// Process is the running program; nil while stopped.
func (s *Spoke) Process() *process.Process { return s.process }

// MetricsURL is where metrics and health are served, without TLS.
func (s *Spoke) MetricsURL() string { return "http://" + s.metrics }

// StateDir is its state directory.
func (s *Spoke) StateDir() string { return filepath.Join(s.config.Dir, "state") }

// Stop ends it as an operator would.
func (s *Spoke) Stop() error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	return p.Stop()
}

// Kill ends it as a power failure would.
func (s *Spoke) Kill() error {
	p := s.process
	s.process = nil
	return p.Kill()
}

// Enrol enrols the spoke's cluster under a name, the way people do, and starts the spoke.
func (s *Spoke) Enrol(ctx context.Context, cli *CLI, name string, labels string) error {
	token, err := Token(ctx, cli, name, labels)
	if err != nil {
		return err
	}
	return s.Start(ctx, token)
}

// Token asks the hub for an enrolment token.
func Token(ctx context.Context, cli *CLI, name, labels string) (string, error) {
	args := []string{"enroll", name, "-o", "json", "--no-wait"}
	if labels != "" {
		args = append(args, "-l", labels)
	}
	r := cli.Run(ctx, args...)
	if err := r.Err(); err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &answer); err != nil || answer.Token == "" {
		return "", fmt.Errorf("enroll %s answered no token: %w", name, err)
	}
	return answer.Token, nil
}
