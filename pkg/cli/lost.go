package cli

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/client"
)

// following returns the options of a watch that tells when it has lost the hub, why, and when it is back. Attempts that fail as the one before did are
// not worth a line each.
func (a *app) following(say func(text string)) client.WatchOptions {
	last := ""
	return client.WatchOptions{
		Lost: func(err error, _ time.Duration) {
			if reason := a.lossReason(err); reason != last {
				last = reason
				say("lost the hub at " + a.address + ": " + reason + "; trying again")
			}
		},
		Found: func() {
			last = ""
			say("the hub is back")
		},
	}
}

// followOptions is following with lines on standard error.
func (a *app) followOptions() client.WatchOptions {
	return a.following(func(text string) { a.say("%s", text) })
}

// lossReason is why a stream has ended, in a few words.
func (a *app) lossReason(err error) string {
	if errors.Is(err, io.EOF) {
		return "it has ended the stream"
	}
	rpc, ok := statusOf(err)
	if !ok {
		return err.Error()
	}
	reason, local := connectFailure(rpc.Message())
	if !local {
		return firstLine(rpc.Message())
	}
	reason, _, _ = strings.Cut(reason, ";")
	return reason
}
