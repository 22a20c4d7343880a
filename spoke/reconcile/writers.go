package reconcile

import (
	"log/slog"
	"sync"

	"github.com/yardarm-dev/yardarm/spoke/apply"
	"github.com/yardarm-dev/yardarm/spoke/kube"
	"github.com/yardarm-dev/yardarm/spoke/policy"
)

// maxWriters bounds how many service accounts' clients are kept. Making one again costs no request.
const maxWriters = 64

// writers are appliers by the service account that they write as. All that a bundle writes goes through its account's; what
// is the spoke's own (inventories, state, watches) goes through the spoke's. Safe for concurrent use.
type writers struct {
	client *kube.Client
	logger *slog.Logger

	mu       sync.Mutex
	accounts map[policy.Account]*apply.Applier // guarded by mu
}

func newWriters(client *kube.Client, logger *slog.Logger) *writers {
	return &writers{client: client, logger: logger, accounts: map[policy.Account]*apply.Applier{}}
}

// as answers the applier of an account; the zero account is the spoke's own.
func (w *writers) as(account policy.Account) (*apply.Applier, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a, ok := w.accounts[account]; ok {
		return a, nil
	}
	client := w.client
	if account != (policy.Account{}) {
		var err error
		if client, err = w.client.As(account.Namespace, account.Name); err != nil {
			return nil, err
		}
	}
	a, err := apply.New(apply.Config{Dynamic: client.Dynamic, Metadata: client.Metadata, Look: w.client.Metadata, Mapper: client.Mapper, Logger: w.logger})
	if err != nil {
		return nil, err
	}
	if len(w.accounts) >= maxWriters {
		clear(w.accounts)
	}
	w.accounts[account] = a
	return a, nil
}
