package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// check walks on: what people do with a fleet, and what happens to it.
func (j *journey) check(ctx context.Context) error {
	changed, err := j.edit("changed", "config.yaml", "Welcome aboard", "Ahoy")
	if err != nil {
		return err
	}
	if err := j.do("publish a change, and see it in every cluster", func() error {
		if err := j.cli.Run(ctx, "publish", changed, "--bundle", bundle, "-m", "another greeting").Err(); err != nil {
			return err
		}
		return j.ready(ctx, 2, "Ahoy", sites...)
	}); err != nil {
		return err
	}
	if err := j.do("return to the revision before, and see it in every cluster", func() error {
		if err := j.cli.Run(ctx, "rollout", "undo", "bundle/"+bundle, "--to-revision", "1").Err(); err != nil {
			return err
		}
		return j.ready(ctx, 3, "Welcome aboard", sites...)
	}); err != nil {
		return err
	}
	if err := j.do("publish a bundle that fails: named within 10 s, no other disturbed", func() error { return j.bad(ctx) }); err != nil {
		return err
	}
	if err := j.print(ctx, "status"); err != nil {
		return err
	}
	if err := j.do("take a cluster away: stale, and never counted ready", func() error { return j.goAway(ctx) }); err != nil {
		return err
	}
	if err := j.do("publish two revisions without it", func() error { return j.without(ctx) }); err != nil {
		return err
	}
	return j.do("let it come back: it gets the newest revision", func() error {
		if err := j.spokes["lab"].Start(ctx, ""); err != nil {
			return err
		}
		return j.ready(ctx, 5, "Land in sight", sites...)
	})
}

// edit copies the application with one text replaced in one file.
func (j *journey) edit(name, file, old, new string) (string, error) {
	dir := filepath.Join(j.dir, name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(j.source, "app"))); err != nil {
		return "", err
	}
	path := filepath.Join(dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	edited := strings.ReplaceAll(string(text), old, new)
	if edited == string(text) {
		return "", fmt.Errorf("%s has no %q", file, old)
	}
	return dir, os.WriteFile(path, []byte(edited), 0o644)
}

// bad publishes an image that cannot be pulled, in a namespace and bundle of its own, and to both stores at once.
func (j *journey) bad(ctx context.Context) error {
	dir, err := j.edit("bad", "web.yaml", "web:1.4.2", "web:broken")
	if err != nil {
		return err
	}
	for _, file := range []string{"namespace.yaml", "web.yaml", "config.yaml"} {
		path := filepath.Join(dir, file)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		renamed := strings.NewReplacer("namespace: shop", "namespace: returns", "name: shop", "name: returns").Replace(string(text))
		if err := os.WriteFile(path, []byte(renamed), 0o644); err != nil {
			return err
		}
	}
	if err := j.cli.Run(ctx, "publish", dir, "--bundle", "returns", "--to", "stores", "--rollout", "all-at-once").Err(); err != nil {
		return err
	}
	const within = 10 * time.Second
	if err := poll(ctx, within, func() error {
		for _, s := range sites[:2] {
			st, err := j.assignment(ctx, s.name, "returns")
			if err != nil {
				return err
			}
			if st.Phase != "Degraded" || len(st.Report.Problems) == 0 || !strings.Contains(st.Report.Problems[0].Reason, "ImagePull") {
				return fmt.Errorf("cluster %s says %s: %s, and not that an image cannot be pulled", s.name, st.Phase, st.Message)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if r := j.cli.Run(ctx, "wait", "bundle/returns", "--timeout", "1s"); r.ExitCode != 124 || !strings.Contains(r.Stderr, "ImagePull") {
		return fmt.Errorf("wait should end with 124 and name the cause: %d\n%s", r.ExitCode, r.Stderr)
	}
	return j.ready(ctx, 3, "Welcome aboard", sites...)
}

// goAway kills the lab's spoke.
func (j *journey) goAway(ctx context.Context) error {
	if err := j.spokes["lab"].Kill(); err != nil {
		return err
	}
	return poll(ctx, 15*time.Second, func() error {
		st, err := j.assignment(ctx, "lab", bundle)
		if err != nil {
			return err
		}
		if st.Phase != "Stale" {
			return fmt.Errorf("the lab's %s is %s, want Stale", bundle, st.Phase)
		}
		r := j.cli.Run(ctx, "get", "bundle", bundle, "-o", "json")
		if err := r.Err(); err != nil {
			return err
		}
		var b struct {
			Status struct {
				Clusters struct{ Total, Ready, Stale int }
			}
		}
		if err := json.Unmarshal([]byte(r.Stdout), &b); err != nil {
			return err
		}
		if c := b.Status.Clusters; c.Total != 3 || c.Ready != 2 || c.Stale != 1 {
			return fmt.Errorf("the bundle counts %+v, want 2 of 3 ready and 1 stale", c)
		}
		return nil
	})
}

// without publishes twice while the lab is away. The stores do not wait for it, and the lab keeps what it has.
func (j *journey) without(ctx context.Context) error {
	for i, greeting := range []string{"Hard a-starboard", "Land in sight"} {
		dir, err := j.edit(fmt.Sprint("without-", i), "config.yaml", "Welcome aboard", greeting)
		if err != nil {
			return err
		}
		if err := j.cli.Run(ctx, "publish", dir, "--bundle", bundle).Err(); err != nil {
			return err
		}
		for _, s := range sites[:2] {
			if err := poll(ctx, 30*time.Second, func() error { return j.holds(ctx, s.name, greeting) }); err != nil {
				return err
			}
		}
	}
	return j.holds(ctx, "lab", "Welcome aboard")
}

// status is what the check reads of an assignment.
type status struct {
	Phase, Message string
	Report         struct {
		Problems []struct{ Reason string }
	}
}

func (j *journey) assignment(ctx context.Context, cluster, bundle string) (status, error) {
	r := j.cli.Run(ctx, "get", "assignments", "--cluster", cluster, "--bundle", bundle, "-o", "json")
	if err := r.Err(); err != nil {
		return status{}, err
	}
	var list struct{ Items []struct{ Status status } }
	if err := json.Unmarshal([]byte(r.Stdout), &list); err != nil {
		return status{}, err
	}
	if len(list.Items) != 1 {
		return status{}, fmt.Errorf("cluster %s has %d assignments of bundle %s, want 1", cluster, len(list.Items), bundle)
	}
	return list.Items[0].Status, nil
}
