package cli

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// JUnit's XML, as far as the pages of CI systems read it.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Errors    int         `xml:"errors,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	// junitCase has passed if it has none of the three.
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitDetail `xml:"failure"`
		Error   *junitDetail `xml:"error"`
		Skipped *junitDetail `xml:"skipped"`
	}
	junitDetail struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a conclusion as one suite: a test case for the rollout, and one for each cluster, so that those that fail come first on a page and
// have a history there.
func (a *app) writeJUnit(c *conclusion) error {
	name := "bundle/" + c.question.bundle
	suite := junitSuite{Name: name, Time: seconds(c.took), Timestamp: c.began.UTC().Format("2006-01-02T15:04:05")}
	if c.question.revision != 0 {
		suite.Name += fmt.Sprintf(" revision %d", c.question.revision)
	}
	suite.Cases = append(suite.Cases, c.rolloutCase(name))
	for _, x := range c.each() {
		suite.Cases = append(suite.Cases, a.clusterCase(name, c, x))
	}
	for _, one := range suite.Cases {
		suite.Tests++
		switch {
		case one.Failure != nil:
			suite.Failures++
		case one.Error != nil:
			suite.Errors++
		case one.Skipped != nil:
			suite.Skipped++
		}
	}
	return encodeJUnit(a.io.Out, junitSuites{Suites: []junitSuite{suite}})
}

func encodeJUnit(w io.Writer, suites junitSuites) error {
	data, err := xml.MarshalIndent(suites, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, data)
	}
	return err
}

// rolloutCase is the verdict. What waits for somebody or has been overtaken has neither passed nor failed.
func (c *conclusion) rolloutCase(class string) junitCase {
	first, _, _ := strings.Cut(c.message, "\n")
	detail := &junitDetail{Type: verdictOf(c.code), Message: first, Text: c.message}
	out := junitCase{Class: class, Name: "rollout", Time: seconds(c.took)}
	switch c.code {
	case ExitYes:
	case ExitApproval, ExitSuperseded:
		out.Skipped = detail
	case ExitError, ExitInterrupted:
		out.Error = detail
	default:
		out.Failure = detail
	}
	return out
}

// each are the assignments of the clusters that are to run the bundle, by cluster.
func (c *conclusion) each() []*yardarmv1.Assignment {
	var list []*yardarmv1.Assignment
	for _, x := range c.assignments {
		if assigned(x) {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *yardarmv1.Assignment) int {
		return strings.Compare(a.GetSpec().GetCluster(), b.GetSpec().GetCluster())
	})
	return list
}

// clusterCase fails where the revision has failed, or was given and is not ready. Clusters that it has not reached, or that are not there, are skipped.
func (a *app) clusterCase(class string, c *conclusion, x *yardarmv1.Assignment) junitCase {
	out := junitCase{Class: class, Name: "cluster/" + x.GetSpec().GetCluster(), Time: seconds(0)}
	if before, ok := c.failed[x.GetMetadata().GetName()]; ok {
		x = asReported(before)
	}
	phase, revision := x.GetStatus().GetPhase(), x.GetSpec().GetRevision()
	switch {
	case revision != c.question.revision:
		out.Skipped = &junitDetail{Message: fmt.Sprintf("it is to run revision %d", revision)}
	case phase == yardarmv1.PhaseReady:
	case phase == yardarmv1.PhaseStale, phase == yardarmv1.PhaseNeverConnected:
		out.Skipped = &junitDetail{Message: phase + ": " + a.why(x)}
	default:
		cause := causeOf(x)
		detail := &junitDetail{Type: cause.reason, Message: phase + ": " + a.shortWhy(x), Text: a.why(x)}
		if detail.Type == "" {
			detail.Type = phase
		}
		if cause.file != "" {
			detail.Text += "\npublished from " + table.Clean(cause.file)
		}
		out.Failure = detail
	}
	return out
}

// seconds is a time as JUnit has it.
func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
