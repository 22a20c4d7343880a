package render

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// loadChart reads the chart, with those in it.
func (c *worker) loadChart() (*chart.Chart, error) {
	files, err := c.chartFiles()
	if err != nil {
		return nil, err
	}
	// Helm's loader says of neither which file it is about.
	for _, f := range files {
		if name := path.Base(f.Name); name == valuesFile || name == chartFile {
			if _, err := c.readValues(c.inChart(nil, f.Name), f.Data); err != nil {
				return nil, err
			}
		}
	}
	c.source.note(c.inChart(nil, chartFile))
	ch, err := loader.LoadFiles(files)
	if err != nil {
		return nil, manifest.Problem{File: c.source.at, Message: firstLine(err.Error())}
	}
	inOrder(ch)
	return ch, nil
}

// chartFiles are the files of a directory that .helmignore leaves, or those of an archive.
func (c *worker) chartFiles() ([]*archive.BufferedFile, error) {
	if isArchive(c.job.Path) {
		return c.unpack()
	}
	rules, err := c.ignored()
	if err != nil {
		return nil, err
	}
	var files []*archive.BufferedFile
	err = c.source.walk(c.job.Path, 0, func(name string, e entry) (bool, error) {
		inside := name
		if c.job.Path != "." {
			inside = strings.TrimPrefix(name, c.job.Path+"/")
		}
		if rules.Ignore(inside, info{name: e.Name, dir: e.Dir}) {
			return false, nil
		}
		switch {
		case e.Dir:
			return true, nil
		case !e.Regular:
			return false, manifest.Problem{File: name, Message: "is no file", Err: manifest.ErrNotRegular}
		}
		data, err := c.source.read(name)
		files = append(files, &archive.BufferedFile{Name: inside, Data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))})
		return false, err
	})
	return files, err
}

func (c *worker) ignored() (*ignore.Rules, error) {
	rules := ignore.Empty()
	name := path.Join(c.job.Path, ignore.HelmIgnore)
	if e, ok := c.source.stat(name); ok && e.Regular {
		data, err := c.source.read(name)
		if err != nil {
			return nil, err
		}
		if rules, err = ignore.Parse(bytes.NewReader(data)); err != nil {
			return nil, manifest.Problem{File: name, Message: firstLine(err.Error())}
		}
	}
	rules.AddDefaults()
	return rules, nil
}

// unpack reads a chart's archive. Its paths are checked by Helm's reader, and nothing is written anywhere.
func (c *worker) unpack() ([]*archive.BufferedFile, error) {
	data, err := c.source.read(c.job.Path)
	if err != nil {
		return nil, err
	}
	archive.MaxDecompressedChartSize = int64(c.job.Limits.Bytes)
	files, err := archive.LoadArchiveFiles(bytes.NewReader(data))
	if err != nil {
		return nil, manifest.Problem{File: c.job.Path, Message: "cannot be unpacked: " + firstLine(err.Error())}
	}
	if len(files) > c.job.Limits.Files {
		return nil, manifest.Problem{File: c.job.Path, Message: fmt.Sprintf("there are more than %d files in it", c.job.Limits.Files), Err: ErrLimit}
	}
	return files, nil
}

// inOrder sorts the charts in a chart: the loader has them as a map has them, and where two say the same, the order counts.
func inOrder(ch *chart.Chart) {
	parts := slices.Clone(ch.Dependencies())
	slices.SortStableFunc(parts, func(a, b *chart.Chart) int { return strings.Compare(a.Name(), b.Name()) })
	ch.SetDependencies(parts...)
	for _, part := range parts {
		inOrder(part)
	}
}

// checkChart refuses what cannot be rendered by itself, and charts of which parts are missing.
func (c *worker) checkChart(ch *chart.Chart) error {
	name := c.inChart(ch, chartFile)
	if ch.Metadata.Type == "library" {
		return manifest.Problem{File: name, Field: "type", Message: "a library chart has nothing to render; it is for other charts to depend on"}
	}
	var missing []string
	for _, d := range ch.Metadata.Dependencies {
		if !slices.ContainsFunc(ch.Dependencies(), func(part *chart.Chart) bool { return part.Name() == d.Name }) {
			missing = append(missing, d.Name)
		}
	}
	if len(missing) > 0 {
		return manifest.Problem{File: name, Field: "dependencies",
			Message: fmt.Sprintf("not in the chart's charts directory: %s; run `helm dependency build` and commit what it brings", clip(strings.Join(missing, ", ")))}
	}
	if ch.Metadata.Deprecated {
		c.warn("%s: the chart says that it is deprecated", name)
	}
	return nil
}

var errMuch = errors.New("too much for one call")
