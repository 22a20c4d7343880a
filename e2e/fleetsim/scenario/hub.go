package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/yardarm-dev/yardarm/e2e/fleet"
	"github.com/yardarm-dev/yardarm/e2e/fleetsim/measure"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// oneCaller lifts the rate of calls: thousands of people and pipelines share the local administrator's identity here.
var oneCaller = []string{"--call-rate=-1"}

// hub is the one that is measured: a process of its own, otherwise with its shipped settings.
type hub struct {
	own    *fleet.Hub // nil for one that was given
	given  *Given
	client *client.Client
}

// newHub starts a hub on a new data directory, or takes the one that was given.
func newHub(ctx context.Context, c Config) (*hub, error) {
	h := &hub{given: c.Given}
	if c.Given != nil {
		config, err := clientconfig.Load(c.Given.AdminConfig)
		if err != nil {
			return nil, err
		}
		where, err := config.Context("")
		if err != nil {
			return nil, err
		}
		to, err := client.FromContext(*where)
		if err != nil {
			return nil, err
		}
		h.client, err = client.New(to)
		return h, err
	}
	var err error
	if h.own, err = fleet.NewHub(fleet.HubConfig{Programs: c.Programs, Dir: filepath.Join(c.Dir, "hub"), Flags: oneCaller}); err != nil {
		return nil, err
	}
	return h, h.start(ctx)
}

func (h *hub) start(ctx context.Context) error {
	if err := h.own.Start(ctx); err != nil {
		return err
	}
	if h.client != nil {
		return nil
	}
	var err error
	h.client, err = h.own.Client()
	return err
}

// errGiven refuses to do with another's hub what a scenario does with its own.
var errGiven = errors.New("this scenario stops and starts the hub, and needs one of its own")

func (h *hub) kill() error {
	if h.own == nil {
		return errGiven
	}
	return h.own.Kill()
}

func (h *hub) spokeAddress() string {
	if h.own == nil {
		return h.given.SpokeAddress
	}
	return h.own.SpokeAddress()
}

func (h *hub) pid() int {
	if h.own == nil {
		return h.given.PID
	}
	return h.own.Process().PID()
}

func (h *hub) memory() (measure.Memory, error) { return measure.MemoryOf(h.pid()) }

func (h *hub) cpu() (time.Duration, error) { return measure.CPU(h.pid()) }

// close ends the hub if it is the scenario's own. It may be called again.
func (h *hub) close() error {
	var err error
	if h.client != nil {
		err = h.client.Close()
		h.client = nil
	}
	if h.own != nil && h.own.Process() != nil {
		err = errors.Join(err, h.own.Kill())
	}
	if err != nil {
		return fmt.Errorf("end the hub: %w", err)
	}
	return nil
}
