package health

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var u unstructured.Unstructured
	if err := u.UnmarshalJSON(data); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return &u
}

func TestOf(t *testing.T) {
	const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, generation: 2}\nspec: {replicas: 1}\n"
	const job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\n"
	for name, c := range map[string]struct {
		object string
		want   State
		reason string
	}{
		"config map":                 {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}", Ready, ""},
		"config map being deleted":   {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [x]}", Waiting, "Terminating"},
		"old generation":             {deployment + "status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}", Waiting, "LatestGenerationNotObserved"},
		"deployment available":       {deployment + "status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}", Ready, ""},
		"deployment out of time":     {deployment + "status: {observedGeneration: 2, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: it took long}]}", Failing, "ProgressDeadlineExceeded"},
		"deployment without quota":   {deployment + "status: {observedGeneration: 2, conditions: [{type: ReplicaFailure, status: 'True', reason: FailedCreate, message: 'pods \"x\" is forbidden: exceeded quota: q'}]}", Failing, "QuotaExceeded"},
		"job not started":            {job, Waiting, "JobRunning"},
		"job running":                {job + "status: {startTime: '2026-01-01T00:00:00Z', active: 1}", Waiting, "JobRunning"},
		"job complete":               {job + "status: {conditions: [{type: Complete, status: 'True'}]}", Ready, ""},
		"job failed":                 {job + "status: {conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: too often}]}", Failing, "BackoffLimitExceeded"},
		"job suspended":              {job + "spec: {suspend: true}", Ready, ""},
		"custom without conditions":  {"apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a}", Ready, ""},
		"custom not ready":           {"apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a}\nstatus: {conditions: [{type: Ready, status: 'False', reason: Baking, message: still warm}]}", Waiting, "Baking"},
		"custom stalled":             {"apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a}\nstatus: {conditions: [{type: Stalled, status: 'True', reason: Burnt, message: too hot}]}", Failing, "Burnt"},
		"definition not established": {"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}", Waiting, "Installing"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Of(object(t, c.object), nil)
			if got.State != c.want || got.Reason != c.reason || (got.State != Ready && got.Message == "") {
				t.Errorf("got %+v, want %d %s", got, c.want, c.reason)
			}
		})
	}
}

func TestOfPod(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	waiting := func(reason, rest string) string {
		return "status: {containerStatuses: [{name: main, image: 'example.com/x:1', restartCount: 3, state: {waiting: {reason: " + reason + ", message: why}}" + rest + "}]}"
	}
	for name, c := range map[string]struct{ status, reason, says string }{
		"starting":           {waiting("ContainerCreating", ""), "", ""},
		"no image":           {waiting("ErrImagePull", ""), "ErrImagePull", "example.com/x:1"},
		"no image for long":  {waiting("ImagePullBackOff", ""), "ImagePullBackOff", "why"},
		"no config":          {waiting("CreateContainerConfigError", ""), "CreateContainerConfigError", "why"},
		"crashing":           {waiting("CrashLoopBackOff", ", lastState: {terminated: {reason: Error, exitCode: 7}}"), "CrashLoopBackOff", "exit code 7"},
		"out of memory":      {waiting("CrashLoopBackOff", ", lastState: {terminated: {reason: OOMKilled, exitCode: 137}}"), "OOMKilled", "137"},
		"out of memory once": {"status: {containerStatuses: [{name: main, image: i, restartCount: 1, state: {running: {}}, lastState: {terminated: {reason: OOMKilled, exitCode: 137}}}]}", "OOMKilled", "memory"},
		"init container":     {"status: {initContainerStatuses: [{name: init, image: i, state: {waiting: {reason: ImagePullBackOff}}}], containerStatuses: [{name: main, image: i, state: {waiting: {reason: PodInitializing}}}]}", "ImagePullBackOff", "init"},
		"ended badly":        {"status: {containerStatuses: [{name: main, image: i, state: {terminated: {reason: Error, exitCode: 1}}}]}", "Error", "exit code 1"},
		"ended well":         {"status: {containerStatuses: [{name: main, image: i, state: {terminated: {reason: Completed, exitCode: 0}}}]}", "", ""},
		"evicted":            {"status: {phase: Failed, reason: Evicted, message: low on disk}", "Evicted", "low on disk"},
		"no node":            {"status: {conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, lastTransitionTime: '2026-01-01T00:00:50Z', message: 0/3 nodes}]}", "Unschedulable", "0/3 nodes"},
		"no node yet":        {"status: {conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, lastTransitionTime: '2026-01-01T00:00:59Z'}]}", "", ""},
		"gated":              {"status: {conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, bad := ofPod(object(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: p1}\n"+c.status), now)
			if bad != (c.reason != "") || r.Reason != c.reason || bad && (r.State != Failing || !strings.Contains(r.Message, c.says) || !strings.Contains(r.Message, "p1")) {
				t.Errorf("got %+v, want %q", r, c.reason)
			}
		})
	}
}

func TestSelector(t *testing.T) {
	got, err := selectorOf(object(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {selector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [a, b]}]}}"))
	if err != nil || got != "app=web,tier in (a,b)" {
		t.Errorf("selector: %q %v", got, err)
	}
}
