package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/yardarm-dev/yardarm/pkg/cli/table"
	"github.com/yardarm-dev/yardarm/pkg/client"
	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// fieldWidth is where the values of a description begin, in columns after its indentation.
const fieldWidth = 20

// sheet is a description as it is written: fields, and indented sections with fields and tables. What has no value is left out.
type sheet struct {
	app    *app
	b      strings.Builder
	indent string
}

// field writes a name and a value.
func (d *sheet) field(name, value string) { d.painted(name, table.Clean(value)) }

// painted writes a name and a value that is made of paint and of texts of our own.
func (d *sheet) painted(name, value string) {
	if value == "" {
		return
	}
	fmt.Fprintf(&d.b, "%s%-*s %s\n", d.indent, fieldWidth-len(d.indent), name+":", value)
}

// paint gives a phase its colour.
func (d *sheet) paint(phase string) string {
	return table.Paint(table.Clean(phase), phaseColor(phase), d.app.colors())
}

func (d *sheet) line(text string) { fmt.Fprintf(&d.b, "%s%s\n", d.indent, table.Clean(text)) }

// section begins an indented part, which end ends.
func (d *sheet) section(title string) {
	d.line(title + sectionColon(title))
	d.indent += "  "
}

func sectionColon(title string) string {
	if strings.Contains(title, ": ") {
		return ""
	}
	return ":"
}

func (d *sheet) end() { d.indent = strings.TrimSuffix(d.indent, "  ") }

func (d *sheet) table(header ...string) *table.Table { return d.app.newTable(header...) }

func (d *sheet) write(t *table.Table) {
	if t.Len() == 0 {
		return
	}
	var b strings.Builder
	_, _ = t.WriteTo(&b) // a Builder takes everything
	for row := range strings.Lines(b.String()) {
		d.b.WriteString(d.indent + row)
	}
}

func (d *sheet) metadata(m *yardarmv1.ObjectMeta) {
	d.field("Name", m.GetName())
	d.field("UID", m.GetUid())
	d.pairs("Labels", m.GetLabels())
	d.pairs("Annotations", m.GetAnnotations())
	d.field("Created", d.app.at(m.GetCreationTimestamp()))
	d.field("Deletion", d.app.at(m.GetDeletionTimestamp()))
	d.field("Resource version", m.GetResourceVersion())
}

// pairs writes one pair a line, as kubectl does.
func (d *sheet) pairs(name string, m map[string]string) {
	name += ":"
	for _, key := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&d.b, "%s%-*s %s\n", d.indent, fieldWidth-len(d.indent), name, table.Clean(key+"="+m[key]))
		name = ""
	}
}

func (d *sheet) provenance(r *yardarmv1.Revision) {
	spec, p := r.GetSpec(), r.GetSpec().GetProvenance()
	if len(spec.GetVariants()) == 0 {
		d.field("Digest", spec.GetDigest())
		d.field("Content", fmt.Sprintf("%s, %s", plural(spec.GetObjects(), "object"), size(spec.GetSize())))
	}
	d.field("Published", by(d.app.at(revisionTime(r)), p.GetActor(), ""))
	if p.GetUndoOf() != 0 {
		d.field("Returns to", fmt.Sprintf("revision %d", p.GetUndoOf()))
	}
	d.field("Message", p.GetMessage())
	d.field("Source", p.GetSource())
	d.field("Commit", p.GetCommit())
	d.field("Source digest", p.GetDigest())
	d.field("Ref", p.GetRef())
	d.field("Author", p.GetAuthor())
	d.field("Signed by", p.GetSigner())
	d.field("Bases", strings.Join(p.GetBases(), ", "))
	d.variants(spec)
}

// source is where a bundle's revisions come from, and what the hub has seen there.
func (d *sheet) source(b *yardarmv1.Bundle) {
	src, st := b.GetSpec().GetSource(), b.GetStatus().GetSource()
	from := src.Origin()
	if from == nil {
		return
	}
	d.section("Source")
	d.field("Repository", from.GetUrl())
	d.field("Chart", src.GetHelm().GetChart())
	d.field("Path", cmp.Or(src.GetGit().GetPath(), src.GetOci().GetPath()))
	d.field("Follows", followsText(src))
	d.field("Credentials", from.GetCredentials())
	d.field("Commit", st.GetCommit())
	d.field("Digest", st.GetDigest())
	if st.GetDigest() != "" {
		d.field("Version", st.GetRef())
	}
	d.field("Subject", st.GetSubject())
	d.field("Author", st.GetAuthor())
	d.field("Signed by", st.GetSigner())
	d.field("Looked at", cmp.Or(d.app.at(st.GetAsOf()), "not yet"))
	d.field("Held back", st.GetHeld())
	if p := st.GetProblem(); p != nil {
		d.painted("Failing", d.paint(yardarmv1.PhaseFailed)+" since "+d.app.at(p.GetSince()))
		d.field("Reason", p.GetReason())
		d.field("Failing commit", p.GetCommit())
		d.field("Failing digest", p.GetDigest())
		d.field("Message", p.GetMessage())
	}
	d.end()
}

// followsText says of what a source takes the newest.
func followsText(s *yardarmv1.Source) string {
	switch {
	case s.GetHelm() != nil && s.GetHelm().GetVersion() == "":
		return "the highest version"
	case s.GetHelm() != nil:
		return "version " + s.GetHelm().GetVersion()
	case s.GetOci() != nil:
		return artifactText(s.GetOci().GetRef())
	}
	return refText(s.GetGit().GetRef())
}

func artifactText(r *yardarmv1.OciRef) string {
	switch {
	case r.GetDigest() != "":
		return r.GetDigest()
	case r.GetSemver() != "":
		return "the highest tag in " + r.GetSemver()
	}
	return "tag " + cmp.Or(r.GetTag(), "latest")
}

func refText(r *yardarmv1.GitRef) string {
	switch {
	case r.GetCommit() != "":
		return "commit " + r.GetCommit()
	case r.GetSemver() != "":
		return "the highest tag in " + r.GetSemver()
	case r.GetTag() != "":
		return "tag " + r.GetTag()
	case r.GetBranch() != "":
		return "branch " + r.GetBranch()
	}
	return "the repository's own branch"
}

func (d *sheet) assignments(list []*yardarmv1.Assignment) {
	t := d.table("CLUSTER", "BUNDLE", "REVISION", "PHASE", "OBJECTS", "DRIFT", "AS OF", "WHY")
	for _, x := range list {
		st := x.GetStatus()
		t.Add(table.Text(x.GetSpec().GetCluster()), table.Text(x.GetSpec().GetBundle()), table.Text(number(x.GetSpec().GetRevision())),
			table.Cell{Text: d.app.phase(x), Color: phaseColor(st.GetPhase())}, table.Text(objects(x)), table.Text(cmp.Or(drifted(x), "-")),
			table.Text(d.app.ago(st.GetAsOf())), table.Text(d.app.why(x)))
	}
	d.write(t)
}

// problems lists every object that is not well, in every assignment, and the file that it was published from. Those of a report that is old are marked with
// its time.
func (d *sheet) problems(list []*yardarmv1.Assignment) {
	t := d.table("CLUSTER", "BUNDLE", "OBJECT", "FILE", "REASON", "SINCE", "MESSAGE")
	for _, x := range list {
		for _, p := range x.GetStatus().GetReport().GetProblems() {
			since := d.app.ago(p.GetSince())
			if x.GetStatus().GetPhase() != x.GetStatus().GetReport().GetPhase() && x.GetStatus().GetAsOf() != nil {
				since += " (as of " + d.app.ago(x.GetStatus().GetAsOf()) + ")"
			}
			t.Add(table.Text(x.GetSpec().GetCluster()), table.Text(x.GetSpec().GetBundle()), table.Text(p.GetObject()), table.Text(cmp.Or(p.GetFile(), "-")),
				table.Text(p.GetReason()), table.Text(since), table.Text(p.GetMessage()))
		}
	}
	if t.Len() > 0 {
		d.section("Problems")
		d.write(t)
		d.end()
	}
}

func (d *sheet) conditions(list []*yardarmv1.Condition) {
	if len(list) == 0 {
		return
	}
	d.section("Conditions")
	t := d.table("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE")
	for _, c := range list {
		t.Add(table.Text(c.GetType()), table.Text(c.GetStatus()), table.Text(c.GetReason()),
			table.Text(d.app.ago(c.GetLastTransitionTime())), table.Text(c.GetMessage()))
	}
	d.write(t)
	d.end()
}

func (d *sheet) events(ctx context.Context, hub *client.Client, req *hubv1.WatchEventsRequest) error {
	req.Tail = describedEvents
	d.section("Events")
	// Which of the two is described needs no column.
	header, other := "CLUSTER", (*yardarmv1.Event).GetCluster
	if req.GetCluster() != "" {
		header, other = "BUNDLE", (*yardarmv1.Event).GetBundle
	}
	t := d.table("AGE", "TYPE", "REASON", header, "MESSAGE")
	for e, err := range hub.Events(ctx, req, client.WatchOptions{}) {
		if err != nil {
			return err
		}
		t.Add(table.Text(d.app.age(e.GetTime())), table.Cell{Text: e.GetType(), Color: eventColor(e)}, table.Text(e.GetReason()),
			table.Text(cmp.Or(other(e), "-")), table.Text(eventMessage(e)))
	}
	if t.Len() == 0 {
		d.line("none")
	}
	d.write(t)
	d.end()
	return nil
}
