package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// policy has an API server note each request once, when it is answered.
const policy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
`

// audit reads what one program asked of an API server, from the log that the API server itself keeps.
type audit struct {
	path   string
	agent  string // how the program's user agent begins
	offset int64
}

// newAudit writes the policy, and answers the flags that make an API server keep the log.
func newAudit(dir, agent string) (*audit, []string, error) {
	a := &audit{path: filepath.Join(dir, "audit.log"), agent: agent}
	file := filepath.Join(dir, "audit-policy.yaml")
	err := os.WriteFile(file, []byte(policy), 0o644)
	return a, []string{"--audit-policy-file=" + file, "--audit-log-path=" + a.path, "--audit-log-maxsize=4096"}, err
}

// request is one line of the log.
type request struct {
	Verb      string `json:"verb"`
	UserAgent string `json:"userAgent"`
	ObjectRef struct {
		Resource string `json:"resource"`
		APIGroup string `json:"apiGroup"`
	} `json:"objectRef"`
}

func (r *request) writes() bool {
	switch r.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// requests are the program's since the last call.
func (a *audit) requests() (counts, error) {
	f, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(a.offset, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1] // the rest is being written
	a.offset += int64(len(data))
	return parseAudit(data, a.agent)
}

// counts are requests by what they were about.
type counts map[asked]int

type asked struct {
	resource schema.GroupResource
	verb     string
	writes   bool
}

func parseAudit(data []byte, agent string) (counts, error) {
	all := counts{}
	for line := range bytes.Lines(data) {
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("read the audit log: %w", err)
		}
		if strings.HasPrefix(r.UserAgent, agent) {
			all[asked{schema.GroupResource{Group: r.ObjectRef.APIGroup, Resource: r.ObjectRef.Resource}, r.Verb, r.writes()}]++
		}
	}
	return all, nil
}

// writes counts those that wrote.
func (c counts) writes() (n int) {
	for a, some := range c {
		if a.writes {
			n += some
		}
	}
	return n
}

// most answers the most requests about any one resource.
func (c counts) most() (n int) {
	by := map[schema.GroupResource]int{}
	for a, some := range c {
		by[a.resource] += some
		n = max(n, by[a.resource])
	}
	return n
}

// lists counts the lists of a resource.
func (c counts) lists(resource schema.GroupVersionResource) int {
	return c[asked{resource.GroupResource(), "list", false}]
}

// String lists them: "list configmaps 2, patch deployments.apps 1".
func (c counts) String() string {
	var all []string
	for a, n := range c {
		all = append(all, fmt.Sprintf("%s %s %d", a.verb, a.resource, n))
	}
	slices.Sort(all)
	return cmp.Or(strings.Join(all, ", "), "none")
}

func (c counts) add(other counts) {
	for a, n := range other {
		c[a] += n
	}
}
