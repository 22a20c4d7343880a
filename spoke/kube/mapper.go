package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ErrUnknownKind says that the API server does not serve a kind.
var ErrUnknownKind = errors.New("the cluster does not know the kind")

// relistAfter is how old an answer must be before an unknown kind makes us ask again: many objects of one unknown kind
// cost one request, and a new definition is found within a second even if nobody calls Forget.
const relistAfter = time.Second

// Kind is a kind of object as the API server serves it.
type Kind struct {
	Group, Version, Kind string
	// Resource is its name in paths, such as "deployments".
	Resource   string
	Namespaced bool
}

// GVR is what clients address the kind by.
func (k Kind) GVR() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Resource}
}

// Mapper tells how the API server serves kinds. It asks for one group and version when the first kind of it is wanted,
// and remembers the answer. It is what a discovery client and a RESTMapper do, for the few groups that are in use.
type Mapper struct {
	get func(ctx context.Context, path string, params map[string]string) ([]byte, error)
	now func() time.Time

	mu       sync.Mutex
	versions map[string]*served // by "group/version"
}

// served is what one group and version holds. Its mutex is held while it is asked for, so that many who wait cost one request.
type served struct {
	mu    sync.Mutex
	asked time.Time // zero: never, or forgotten
	kinds map[string]Kind
}

func newMapper(get func(context.Context, string, map[string]string) ([]byte, error)) *Mapper {
	return &Mapper{get: get, now: time.Now, versions: map[string]*served{}}
}

// Kind answers how a kind is served. The error wraps ErrUnknownKind if it is not, or says why that cannot be told now.
func (m *Mapper) Kind(ctx context.Context, group, version, kind string) (Kind, error) {
	s := m.served(group, version)
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.kinds[kind]; ok {
		return found, nil
	}
	if s.asked.IsZero() || m.now().Sub(s.asked) >= relistAfter {
		if err := m.ask(ctx, s, group, version); err != nil {
			return Kind{}, fmt.Errorf("ask for the kinds of %s: %w", join(group, version), err)
		}
	}
	if found, ok := s.kinds[kind]; ok {
		return found, nil
	}
	return Kind{}, fmt.Errorf("%w %s of %s", ErrUnknownKind, kind, join(group, version))
}

// AnyVersion answers a kind in the version given if that is served, or in another one that is, the server's preferred first.
func (m *Mapper) AnyVersion(ctx context.Context, group, version, kind string) (Kind, error) {
	found, err := m.Kind(ctx, group, version, kind)
	if group == "" || !errors.Is(err, ErrUnknownKind) {
		return found, err
	}
	body, groupErr := m.get(ctx, "/apis/"+group, nil)
	if apierrors.IsNotFound(groupErr) {
		return Kind{}, err
	}
	if groupErr != nil {
		return Kind{}, fmt.Errorf("ask for the versions of %s: %w", group, groupErr)
	}
	var answer struct {
		PreferredVersion struct{ Version string }
		Versions         []struct{ Version string }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Kind{}, fmt.Errorf("ask for the versions of %s: %w", group, err)
	}
	others := []string{answer.PreferredVersion.Version}
	for _, v := range answer.Versions {
		others = append(others, v.Version)
	}
	for _, other := range slices.Compact(others) {
		if other == "" || other == version {
			continue
		}
		if found, otherErr := m.Kind(ctx, group, other, kind); !errors.Is(otherErr, ErrUnknownKind) {
			return found, otherErr
		}
	}
	return Kind{}, err
}

// Forget makes the next question about a group go to the API server.
func (m *Mapper) Forget(group string) {
	m.mu.Lock()
	var stale []*served
	for key, s := range m.versions {
		if g, _, _ := strings.Cut(key, " "); g == group {
			stale = append(stale, s)
		}
	}
	m.mu.Unlock()
	for _, s := range stale {
		s.mu.Lock()
		s.asked, s.kinds = time.Time{}, nil
		s.mu.Unlock()
	}
}

func (m *Mapper) served(group, version string) *served {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := group + " " + version
	s := m.versions[key]
	if s == nil {
		s = &served{}
		m.versions[key] = s
	}
	return s
}

// ask fills s. The caller holds its mutex.
func (m *Mapper) ask(ctx context.Context, s *served, group, version string) error {
	path := "/apis/" + group + "/" + version
	if group == "" {
		path = "/api/" + version
	}
	body, err := m.get(ctx, path, nil)
	if apierrors.IsNotFound(err) {
		s.asked, s.kinds = m.now(), nil
		return nil
	}
	if err != nil {
		return err
	}
	var list struct {
		Resources []struct {
			Name, Kind, Group, Version string
			Namespaced                 bool
			Verbs                      []string
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return err
	}
	kinds := map[string]Kind{}
	for _, r := range list.Resources {
		if strings.Contains(r.Name, "/") {
			continue // a subresource
		}
		if _, twice := kinds[r.Kind]; twice && !slices.Contains(r.Verbs, "patch") {
			continue
		}
		kinds[r.Kind] = Kind{Group: group, Version: version, Kind: r.Kind, Resource: r.Name, Namespaced: r.Namespaced}
	}
	s.asked, s.kinds = m.now(), kinds
	return nil
}

func join(group, version string) string {
	if group == "" {
		return version
	}
	return group + "/" + version
}
