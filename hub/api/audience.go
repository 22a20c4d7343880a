package api

import (
	"fmt"
	"sync"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
)

// audiences are the subjects of the watches that are open. Those of the same request share one, so that whether a change concerns them is found out once: a page
// that many people look at costs what one of them does.
type audiences struct {
	mu    sync.Mutex // guards all
	byKey map[string]*audience
}

type audience struct {
	subject subject
	watches int
}

// join answers the subject of a request, which is then checked; leave is for the end of its watch.
func (a *audiences) join(req *hubv1.WatchRequest) (shared subject, leave func(), err error) {
	key := subjectKey(req)
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.byKey[key]
	if of == nil {
		subject, err := subjectOf(req)
		if err != nil {
			return nil, nil, err
		}
		if a.byKey == nil {
			a.byKey = make(map[string]*audience)
		}
		of = &audience{subject: subject}
		a.byKey[key] = of
	}
	of.watches++
	return of.subject, func() { a.leave(key) }, nil
}

func (a *audiences) leave(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if of := a.byKey[key]; of.watches > 1 {
		of.watches--
		return
	}
	delete(a.byKey, key)
}

// subjectKey is all that a request says of what is watched.
func subjectKey(req *hubv1.WatchRequest) string {
	return fmt.Sprintf("%q %q %q %q %q", req.GetKind(), req.GetName(), req.GetCluster(), req.GetBundle(), req.GetFilter())
}
