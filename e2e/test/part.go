package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// errFailed says that something failed, and that report has said what.
var errFailed = errors.New("not all passed")

// A part is a line of the final table.
type part struct {
	name, about string
	steps       []step
	// needs names a part without which this one cannot be. It is not run, and has failed, if that one failed.
	needs string
}

// A step passes or fails as one, or tells how many tests did. All steps of a part are run.
type step struct {
	name string
	run  func(ctx context.Context, out io.Writer) (tally, error)
}

// tally counts tests. A step without tests has an empty one.
type tally struct {
	passed, failed, skipped int
	// failures name what failed, flaky what failed first and passed when it ran again, and skips what was skipped and why.
	failures, flaky, skips []string
}

func (t *tally) add(u tally) {
	t.passed, t.failed, t.skipped = t.passed+u.passed, t.failed+u.failed, t.skipped+u.skipped
	t.failures, t.flaky, t.skips = append(t.failures, u.failures...), append(t.flaky, u.flaky...), append(t.skips, u.skips...)
}

// result is what came of a part.
type result struct {
	part  part
	took  time.Duration
	steps []stepResult
	// missing names the part that this one would have needed.
	missing string
}

type stepResult struct {
	step  step
	took  time.Duration
	tally tally
	err   error
}

func (r result) failed() bool {
	for _, s := range r.steps {
		if s.err != nil {
			return true
		}
	}
	return r.missing != ""
}

// runParts runs one part after the other, until the context ends.
func runParts(ctx context.Context, out io.Writer, parts []part) []result {
	var results []result
	failed := map[string]bool{}
	for _, p := range parts {
		if ctx.Err() != nil {
			break
		}
		r := result{part: p}
		if p.needs != "" && failed[p.needs] {
			r.missing = p.needs
		} else {
			fmt.Fprintf(out, "\n== %s: %s\n", p.name, p.about)
			began := time.Now()
			for _, s := range p.steps {
				if ctx.Err() != nil {
					break
				}
				r.steps = append(r.steps, runStep(ctx, out, s))
			}
			r.took = time.Since(began)
			fmt.Fprintf(out, "== %s: %s after %s\n", p.name, verdict(r.failed()), short(r.took))
		}
		failed[p.name] = r.failed()
		results = append(results, r)
	}
	return results
}

func runStep(ctx context.Context, out io.Writer, s step) stepResult {
	began := time.Now()
	r := stepResult{step: s}
	r.tally, r.err = s.run(ctx, out)
	r.took = time.Since(began)
	if r.err != nil {
		fmt.Fprintf(out, "%s: %v\n", s.name, r.err)
	}
	return r
}

// report writes what was skipped, what failed, the table and the totals, and is an error if anything failed.
func report(out io.Writer, results []result) error {
	var total tally
	var took time.Duration
	var failures []string
	var lines strings.Builder
	table := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	row := func(name string, took time.Duration, r string) {
		fmt.Fprintf(table, "%s\t%8s\t%s\n", name, short(took), r)
	}
	for _, r := range results {
		took += r.took
		row(r.part.name, r.took, verdict(r.failed()))
		if r.missing != "" {
			total.failed++
			failures = append(failures, fmt.Sprintf("%s: not run, because %s failed", r.part.name, r.missing))
		}
		for _, s := range r.steps {
			counts := verdict(s.err != nil)
			switch t := s.tally; {
			case t.passed+t.failed > 0:
				counts += fmt.Sprintf("  %d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
				total.add(t)
				if s.err != nil && t.failed == 0 {
					total.failed++ // something beside the tests
				}
			case s.err != nil:
				total.failed++
			default:
				total.passed++
			}
			row("  "+s.step.name, s.took, counts)
			for _, f := range s.tally.failures {
				failures = append(failures, fmt.Sprintf("%s: %s", r.part.name, f))
			}
			if s.err != nil && len(s.tally.failures) == 0 {
				failures = append(failures, fmt.Sprintf("%s: %s: %v", r.part.name, s.step.name, s.err))
			}
		}
	}
	fmt.Fprintln(out)
	for _, s := range total.skips {
		fmt.Fprintln(out, "skipped:", s)
	}
	for _, f := range total.flaky {
		fmt.Fprintln(out, "FLAKY, passed when it ran again:", f)
	}
	for _, f := range failures {
		fmt.Fprintln(out, "FAILED:", f)
	}
	row("total", took, verdict(len(failures) > 0))
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	fmt.Fprintf(out, "\n%s\n%d passed, %d failed\n", lines.String(), total.passed, total.failed)
	if len(failures) > 0 {
		return errFailed
	}
	return nil
}

func verdict(failed bool) string {
	if failed {
		return "FAILED"
	}
	return "ok"
}

// short is a duration as people read it: 0.4s, 12.3s, 3m10s.
func short(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
