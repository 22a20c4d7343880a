package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/atomicfile"
)

// Bench is one run of scenarios, and where and when it was.
type Bench struct {
	Date    string `json:"date"`
	Version string `json:"version"`
	Go      string `json:"go"`
	GRPC    string `json:"grpc"`
	Machine string `json:"machine"`
	Kernel  string `json:"kernel"`
	Load    string `json:"load_before"`
	// Command is what makes it again.
	Command   string         `json:"command"`
	Scenarios map[string]any `json:"scenarios"`
	// order of the scenarios.
	order []string
}

// NewBench notes the machine as it is before the first scenario.
func NewBench(now time.Time, version, command string) *Bench {
	return &Bench{
		Date: now.UTC().Format(time.RFC3339), Version: version, Go: runtime.Version(), GRPC: moduleVersion("google.golang.org/grpc"),
		Machine: machine(), Kernel: firstLine("/proc/sys/kernel/osrelease"), Load: firstLine("/proc/loadavg"), Command: command,
		Scenarios: map[string]any{},
	}
}

// Add takes the figures of one scenario.
func (b *Bench) Add(scenario string, figures any) {
	b.Scenarios[scenario] = figures
	b.order = append(b.order, scenario)
}

// Table writes the figures beside their targets, for people.
func Table(w io.Writer, lines []Line) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SCENARIO\tFIGURE\tVALUE\tTARGET\t")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Scenario, l.Figure, l.Value, l.Target, verdict(l.Met))
	}
	return t.Flush()
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

// WriteFiles writes the run into a folder, as NAME.json and NAME.md.
func (b *Bench) WriteFiles(dir, name string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(dir, name+".json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, name+".md"), b.markdown(), 0o644)
}

func (b *Bench) markdown() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Fleet scale, %s\n\n`%s`, Yardarm %s, %s, gRPC %s, Linux %s.\n%s; load before the run: %s.\nHub, spokes and floors share the machine.\n\n",
		b.Date, b.Command, b.Version, b.Go, b.GRPC, b.Kernel, b.Machine, b.Load)
	fmt.Fprintln(&out, "| scenario | figure | value | target | |\n|---|---|---|---|---|")
	for _, name := range b.order {
		for _, l := range Lines(b.Scenarios[name]) {
			fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", l.Scenario, l.Figure, l.Value, l.Target, verdict(l.Met))
		}
	}
	return out.Bytes()
}

func machine() string {
	model, memory := "unknown processor", "unknown memory"
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
		}
	}
	for line := range strings.Lines(read("/proc/meminfo")) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kb); n == 1 {
			memory = fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
		}
	}
	return fmt.Sprintf("%d × %s, %s", runtime.NumCPU(), model, memory)
}

func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}

func firstLine(path string) string {
	line, _, _ := strings.Cut(read(path), "\n")
	return line
}

// read answers a file of the kernel's; empty where there is none, as on another kernel.
func read(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(content)
}
