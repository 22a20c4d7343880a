package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// sourceProblem is why a bundle's source gives no revision, as in "bundle/web gets no new revision (for 3m): RenderingFailed: web.yaml:3: … (commit 4f2c1e9d)"; empty
// where nothing is wrong. It is about no cluster: those go on with the last good revision.
func (a *app) sourceProblem(b *yardarmv1.Bundle) string {
	p := b.GetStatus().GetSource().GetProblem()
	if p == nil {
		return ""
	}
	text := fmt.Sprintf("bundle/%s gets no new revision%s: %s: ", b.GetMetadata().GetName(), sourceSince(a.lasting(p.GetSince())), p.GetReason())
	place := p.GetFile()
	if place != "" && p.GetLine() > 0 {
		place += fmt.Sprintf(":%d", p.GetLine())
	}
	if place != "" && !strings.Contains(p.GetMessage(), place) {
		text += place + ": "
	}
	text += p.GetMessage()
	if p.GetCommit() != "" {
		text += fmt.Sprintf(" (commit %s)", p.GetCommit()[:min(8, len(p.GetCommit()))])
	}
	return table.Clean(text)
}

func sourceSince(lasting string) string {
	if lasting = strings.TrimSpace(lasting); lasting != "" {
		return " (" + lasting + ")"
	}
	return ""
}

// printSources writes a line for each bundle whose source gives no new revision, or for the one that is named.
func (a *app) printSources(ctx context.Context, hub *client.Client, name string) error {
	filter := "source.problem"
	if name != "" {
		filter += ",name=" + name
	}
	for b, err := range hub.Bundles(ctx, &hubv1.ListBundlesRequest{Filter: filter}) {
		if err != nil {
			return err
		}
		if text := a.sourceProblem(b); text != "" {
			a.print("%s", text)
		}
	}
	return nil
}
