package yardarmv1

import "google.golang.org/protobuf/types/known/durationpb"

// Origin is what sources of all kinds have in common.
type Origin interface {
	GetUrl() string
	GetInterval() *durationpb.Duration
	GetCredentials() string
}

// Origin is where a source takes its revisions from; nil where it does not say.
func (s *Source) Origin() Origin {
	switch from := s.GetFrom().(type) {
	case *Source_Git:
		return from.Git
	case *Source_Helm:
		return from.Helm
	case *Source_Oci:
		return from.Oci
	}
	return nil
}
