package render

import (
	"errors"
	"io/fs"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// failure is an error on the wire.
type failure struct {
	Problems []manifest.Problem `json:",omitempty"`
	// Reasons are the sentinels of Problems, by their names in sentinels.
	Reasons []string `json:",omitempty"`
	// Ref and Address are what an Elsewhere refers to.
	Ref     string `json:",omitempty"`
	Address string `json:",omitempty"`
	// Other is an error that is not the source's.
	Other string `json:",omitempty"`
}

// sentinels are the errors that keep what they are on the wire.
var sentinels = map[string]error{"limit": ErrLimit, "not there": fs.ErrNotExist, "invalid": fs.ErrInvalid, "link": manifest.ErrSymlink, "irregular": manifest.ErrNotRegular, "deep": manifest.ErrTooDeep, "elsewhere": ErrElsewhere}

func failureOf(err error) failure {
	var several *manifest.Problems
	var one manifest.Problem
	var away *Elsewhere
	var f failure
	if errors.As(err, &away) {
		f.Ref, f.Address = away.Ref, away.Address
	}
	switch {
	case errors.As(err, &several):
		f.Problems = several.Entries
	case errors.As(err, &one):
		f.Problems = []manifest.Problem{one}
	default:
		f.Other = err.Error()
	}
	f.Reasons = make([]string, len(f.Problems))
	for i := range f.Problems {
		for name, sentinel := range sentinels {
			if errors.Is(f.Problems[i].Err, sentinel) {
				f.Reasons[i] = name
			}
		}
		f.Problems[i].Err = nil
	}
	return f
}

// err is what failureOf was made of.
func (f failure) err() error {
	for i := range f.Problems {
		if i < len(f.Reasons) {
			f.Problems[i].Err = sentinels[f.Reasons[i]]
		}
	}
	switch {
	case len(f.Problems) == 1 && f.Ref != "":
		return &Elsewhere{f.Problems[0], f.Ref, f.Address}
	case len(f.Problems) == 1:
		return f.Problems[0]
	case len(f.Problems) > 1:
		return &manifest.Problems{Entries: f.Problems[:min(len(f.Problems), maxWarnings)], More: max(0, len(f.Problems)-maxWarnings)}
	}
	return errors.New(f.Other)
}
