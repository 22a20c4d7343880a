package health

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"

	"github.com/yardarm-dev/yardarm/pkg/healthrule"
)

// Statuses as controllers of the world write them.
func TestOfKinds(t *testing.T) {
	const (
		service     = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
		claim       = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\n"
		pod         = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
		daemonSet   = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: a, generation: 2}\n"
		statefulSet = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a, generation: 2}\nspec: {replicas: 2}\n"
		scaler      = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\n"
		budget      = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a, generation: 2}\n"
		aggregated  = "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1beta1.metrics.k8s.io}\n"
		definition  = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n"
		certificate = "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a, generation: 2}\n"
		cronJob     = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec: {suspend: true}\n"
		job         = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {ttlSecondsAfterFinished: 0}\n"
		rolledOut   = "replicas: 2, readyReplicas: 2, currentReplicas: 2, updatedReplicas: 2, currentRevision: b, updateRevision: b"
	)
	for name, c := range map[string]struct {
		object string
		want   State
		reason string
	}{
		"service":                            {service + "spec: {clusterIP: 10.0.0.1}", Ready, ""},
		"headless service":                   {service + "spec: {clusterIP: None}", Ready, ""},
		"external name":                      {service + "spec: {type: ExternalName, externalName: example.com}", Ready, ""},
		"load balancer without an address":   {service + "spec: {type: LoadBalancer, clusterIP: 10.0.0.1}\nstatus: {loadBalancer: {}}", Waiting, "LoadBalancerPending"},
		"load balancer with a name":          {service + "spec: {type: LoadBalancer}\nstatus: {loadBalancer: {ingress: [{hostname: lb.example.com}]}}", Ready, ""},
		"load balancer by hand":              {service + "spec: {type: LoadBalancer, externalIPs: [192.0.2.1]}", Ready, ""},
		"claim pending":                      {claim + "status: {phase: Pending}", Waiting, "NotBound"},
		"claim bound":                        {claim + "status: {phase: Bound}", Ready, ""},
		"claim lost":                         {claim + "status: {phase: Lost}", Failing, "ClaimLost"},
		"pod running":                        {pod + "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}", Ready, ""},
		"pod not ready":                      {pod + "status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}", Waiting, "PodRunningNotReady"},
		"pod done":                           {pod + "status: {phase: Succeeded}", Ready, ""},
		"pod failed":                         {pod + "status: {phase: Failed, reason: DeadlineExceeded, message: it took long}", Failing, "DeadlineExceeded"},
		"daemon set not looked at":           {daemonSet, Waiting, "NoObservedGeneration"},
		"daemon set of an old generation":    {daemonSet + "status: {observedGeneration: 1, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}", Waiting, "LatestGenerationNotObserved"},
		"daemon set":                         {daemonSet + "status: {observedGeneration: 2, desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}", Ready, ""},
		"daemon set on no node":              {daemonSet + "status: {observedGeneration: 2, desiredNumberScheduled: 0}", Ready, ""},
		"daemon set being replaced":          {daemonSet + "status: {observedGeneration: 2, desiredNumberScheduled: 2, currentNumberScheduled: 2, numberAvailable: 2, numberReady: 2}", Waiting, "LessUpdated"},
		"daemon set replaced by hand":        {daemonSet + "spec: {updateStrategy: {type: OnDelete}}\nstatus: {observedGeneration: 2, desiredNumberScheduled: 2, currentNumberScheduled: 2, numberAvailable: 2, numberReady: 2}", Ready, ""},
		"daemon set by hand, unseen":         {daemonSet + "spec: {updateStrategy: {type: OnDelete}}\nstatus: {observedGeneration: 1, desiredNumberScheduled: 2, numberAvailable: 2}", Waiting, "LatestGenerationNotObserved"},
		"stateful set of an old generation":  {statefulSet + "status: {observedGeneration: 1, " + rolledOut + "}", Waiting, "LatestGenerationNotObserved"},
		"stateful set":                       {statefulSet + "status: {observedGeneration: 2, " + rolledOut + "}", Ready, ""},
		"stateful set being replaced":        {statefulSet + "status: {observedGeneration: 2, replicas: 2, readyReplicas: 2, currentReplicas: 2, currentRevision: a, updateRevision: b}", Waiting, "RevisionMismatch"},
		"autoscaler not looked at":           {scaler, Ready, ""},
		"autoscaler":                         {scaler + "status: {conditions: [{type: AbleToScale, status: 'True'}, {type: ScalingActive, status: 'True'}]}", Ready, ""},
		"autoscaler without metrics":         {scaler + "status: {conditions: [{type: AbleToScale, status: 'True'}, {type: ScalingActive, status: 'False', reason: FailedGetResourceMetric}]}", Ready, ""},
		"autoscaler of nothing":              {scaler + "status: {conditions: [{type: AbleToScale, status: 'False', reason: FailedGetScale, message: not found}]}", Waiting, "FailedGetScale"},
		"budget that allows nothing":         {budget + "status: {observedGeneration: 2, currentHealthy: 1, desiredHealthy: 1, disruptionsAllowed: 0, conditions: [{type: DisruptionAllowed, status: 'False', reason: InsufficientPods}]}", Ready, ""},
		"budget of an old generation":        {budget + "status: {observedGeneration: 1}", Waiting, "LatestGenerationNotObserved"},
		"aggregated, not looked at":          {aggregated, Waiting, "InProgress"},
		"aggregated, not there":              {aggregated + "status: {conditions: [{type: Available, status: 'False', reason: MissingEndpoints, message: no endpoints}]}", Waiting, "MissingEndpoints"},
		"aggregated":                         {aggregated + "status: {conditions: [{type: Available, status: 'True', reason: Passed}]}", Ready, ""},
		"definition":                         {definition + "status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}", Ready, ""},
		"definition with another's names":    {definition + "status: {conditions: [{type: NamesAccepted, status: 'False', reason: PluralConflict, message: taken}]}", Failing, "PluralConflict"},
		"ingress without an address":         {"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a, generation: 1}\nstatus: {loadBalancer: {}}", Ready, ""},
		"cron job":                           {cronJob, Ready, ""},
		"cron job whose job runs":            {cronJob + "status: {active: [{name: a-1}]}", Ready, ""},
		"job with a time to live, done":      {job + "status: {conditions: [{type: SuccessCriteriaMet, status: 'True'}]}", Ready, ""},
		"job that deletes itself, done":      {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [foregroundDeletion]}\nspec: {ttlSecondsAfterFinished: 0}\nstatus: {conditions: [{type: Complete, status: 'True'}]}", Ready, ""},
		"job that somebody deletes":          {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [foregroundDeletion]}\nspec: {ttlSecondsAfterFinished: 0}\nstatus: {active: 1}", Waiting, "Terminating"},
		"job about to fail":                  {job + "status: {conditions: [{type: FailureTarget, status: 'True', reason: BackoffLimitExceeded}]}", Waiting, "JobRunning"},
		"namespace":                          {"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nstatus: {phase: Active}", Ready, ""},
		"certificate not looked at":          {certificate, Ready, ""},
		"certificate on its way":             {certificate + "status: {conditions: [{type: Issuing, status: 'True', observedGeneration: 2}, {type: Ready, status: 'False', reason: DoesNotExist, message: no secret}]}", Waiting, "DoesNotExist"},
		"custom of an old generation":        {certificate + "status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}", Waiting, "LatestGenerationNotObserved"},
		"custom, not known":                  {certificate + "status: {conditions: [{type: Ready, status: Unknown, reason: Started, message: begun}]}", Waiting, "Started"},
		"custom reconciling":                 {certificate + "status: {conditions: [{type: Reconciling, status: 'True', reason: Upgrading, message: m}, {type: Ready, status: 'True'}]}", Waiting, "Upgrading"},
		"custom with a phase only":           {"apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a}\nstatus: {phase: Failed}", Ready, ""},
		"custom with conditions of its own":  {"apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a}\nstatus: {conditions: {ready: true}}", Waiting, "StatusUnknown"},
		"custom whose status is a text":      {"apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a, generation: 1}\nstatus: fine", Waiting, "StatusUnknown"},
		"custom with a generation as a text": {"apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a, generation: 1}\nstatus: {observedGeneration: one}", Waiting, "StatusUnknown"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Of(object(t, c.object), nil)
			if got.State != c.want || got.Reason != c.reason || (got.State == Ready) != (got.Message == "") {
				t.Errorf("got %+v, want %d %s", got, c.want, c.reason)
			}
		})
	}
}

func TestOfByRule(t *testing.T) {
	rules, _ := healthrule.Compile([]*yardarmv1.HealthRule{
		{Group: "x.example", Kind: "Widget", Ready: `object.status.phase == "Done"`, Failing: `object.status.phase == "Burnt"`, Message: `"it is " + object.status.phase`},
		{Kind: "ConfigMap", Ready: `object.data.ready == "true"`},
		{Kind: "Service", Ready: "true"},
		{Group: "apps", Kind: "Deployment", Ready: "object ="},
	})
	const widget = "apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a, generation: 2}\n"
	for name, c := range map[string]struct {
		object string
		want   State
		reason string
		says   string
	}{
		"ready":                     {widget + "status: {phase: Done, conditions: [{type: Ready, status: 'False'}]}", Ready, "", ""},
		"not ready":                 {widget + "status: {phase: Warm, conditions: [{type: Ready, status: 'True'}]}", Waiting, "NotReady", "it is Warm"},
		"failing":                   {widget + "status: {phase: Burnt}", Failing, "Failed", "it is Burnt"},
		"without status":            {widget, Waiting, "NotReady", `"ready" cannot be evaluated`},
		"ready in a generation ago": {widget + "status: {observedGeneration: 1, phase: Done}", Waiting, "LatestGenerationNotObserved", "newest generation"},
		"ready, being deleted":      {"apiVersion: x.example/v1\nkind: Widget\nmetadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [x]}\nstatus: {phase: Done}", Waiting, "Terminating", "x"},
		"a passive kind":            {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {ready: 'false'}", Waiting, "NotReady", "not ready"},
		"a built-in kind":           {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: LoadBalancer}", Ready, "", ""},
		"a broken rule":             {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}", Failing, "InvalidHealthRule", "ready"},
		"another group's kind":      {"apiVersion: y.example/v1\nkind: Widget\nmetadata: {name: a}", Ready, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Of(object(t, c.object), rules)
			if got.State != c.want || got.Reason != c.reason || !strings.Contains(got.Message, c.says) {
				t.Errorf("got %+v, want %d %s %q", got, c.want, c.reason, c.says)
			}
		})
	}
}

// FuzzOf: a judgement comes of whatever an object holds, and what is not ready says why.
func FuzzOf(f *testing.F) {
	for _, kind := range []string{"apps/v1 Deployment", "apps/v1 DaemonSet", "batch/v1 Job", "v1 Pod", "v1 Service", "apiregistration.k8s.io/v1 APIService", "x.example/v1 Widget"} {
		version, kind, _ := strings.Cut(kind, " ")
		f.Add(version, kind, `{"type":"LoadBalancer"}`, `{"phase":"Failed","conditions":[{"type":"Ready","status":"False"},1,{"type":[]}],"containerStatuses":[{"state":{"waiting":[]}}]}`)
	}
	f.Fuzz(func(t *testing.T, version, kind, spec, status string) {
		text, err := json.Marshal(map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"name": "a", "generation": 1},
			"spec": json.RawMessage(spec), "status": json.RawMessage(status)})
		if err != nil {
			return
		}
		var o unstructured.Unstructured
		if o.UnmarshalJSON(text) != nil {
			return
		}
		if r := Of(&o, nil); r.State != Ready && (r.Reason == "" || len(r.Message) > 2*messageLimit) {
			t.Errorf("%+v", r)
		}
	})
}
