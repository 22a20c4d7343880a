package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/yardarm-dev/yardarm/hub"
	"github.com/yardarm-dev/yardarm/pkg/client"
	"github.com/yardarm-dev/yardarm/pkg/clientconfig"
)

// localAdmin reads the local administrator's file of a running hub, and its context, with another server if one is given.
func localAdmin(dir, server string) (*clientconfig.Config, *clientconfig.Context, error) {
	file := filepath.Join(dir, hub.AdminFile)
	config, err := clientconfig.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no %s, which a hub makes at its first start; --data-dir says which directory is the hub's", file)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the local administrator's credential: %w", err)
	}
	where, err := config.Context("")
	if err != nil {
		return nil, nil, err
	}
	if server != "" {
		c := *where
		c.Server = server
		where = &c
	}
	return config, where, nil
}

func serverFlag(f *pflag.FlagSet, server *string) {
	f.StringVar(server, "server", "", "where to call the hub, `https://host:port`, if not where DIR/admin.yaml says")
}

func connect(where clientconfig.Context) (*client.Client, error) {
	dial, err := client.FromContext(where)
	if err != nil {
		return nil, err
	}
	return client.New(dial)
}
