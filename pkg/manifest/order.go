package manifest

// The order of apply. Objects of one stage do not need each other to be accepted and to start; objects of later stages may need
// those of earlier ones. The spoke applies a stage at once and waits where Stage.Wait says so. Deletion goes the other way round.
//
//	stage           kinds                                          why there
//	definitions     CustomResourceDefinition, Namespace            everything else may be an instance of one or live in one
//	classes         StorageClass, PriorityClass, ResourceQuota, …  referred to by name when others are admitted, or limiting them
//	roles           ClusterRole, Role, ServiceAccount              a binding is refused if its role is not there
//	configuration   ConfigMap, Secret, bindings, volumes           pods wait in error for what they mount, and need their rights at start
//	services        Service, Endpoints, EndpointSlice              pods get the addresses of services that were there before them
//	workloads       Deployment, StatefulSet, Job, Pod, …
//	exposure        Ingress, HorizontalPodAutoscaler, …            refer to workloads and services
//	custom          every kind not listed                          their controllers and webhooks are among the workloads; on
//	                                                               deletion these still run, and can finish finalizers
//	interception    webhook configurations, admission policies,    each can refuse or rewrite everything applied after it,
//	                APIService                                     and refuses all while its own workload is not up

// Stage is a group of objects that are applied together.
type Stage struct {
	Name    string   // as in the table above
	Wait    bool     // later stages must wait until these are usable: CRDs established, namespaces active
	Objects []Object // ascending by Ref
}

type stageKinds struct {
	name  string
	wait  bool
	kinds []string // "group/Kind", "Kind" in the core group
}

// customStage is where kinds go that are not in the table. Its name is looked up once.
const customStage = "custom"

var stages = [...]stageKinds{
	{name: "definitions", wait: true, kinds: []string{
		"apiextensions.k8s.io/CustomResourceDefinition",
		"Namespace",
	}},
	{name: "classes", kinds: []string{
		"scheduling.k8s.io/PriorityClass",
		"storage.k8s.io/StorageClass",
		"storage.k8s.io/VolumeAttributesClass",
		"storage.k8s.io/CSIDriver",
		"networking.k8s.io/IngressClass",
		"node.k8s.io/RuntimeClass",
		"resource.k8s.io/DeviceClass",
		"flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration",
		"flowcontrol.apiserver.k8s.io/FlowSchema",
		"ResourceQuota",
		"LimitRange",
		// A pod that starts before the policy that isolates it is open for a moment.
		"networking.k8s.io/NetworkPolicy",
	}},
	{name: "roles", kinds: []string{
		"rbac.authorization.k8s.io/ClusterRole",
		"rbac.authorization.k8s.io/Role",
		"ServiceAccount",
	}},
	{name: "configuration", kinds: []string{
		"rbac.authorization.k8s.io/ClusterRoleBinding",
		"rbac.authorization.k8s.io/RoleBinding",
		"ConfigMap",
		"Secret",
		"PersistentVolume",
		"PersistentVolumeClaim",
		"resource.k8s.io/ResourceClaim",
		"resource.k8s.io/ResourceClaimTemplate",
		"certificates.k8s.io/ClusterTrustBundle",
		"PodTemplate",
	}},
	{name: "services", kinds: []string{
		"Service",
		"Endpoints",
		"discovery.k8s.io/EndpointSlice",
	}},
	{name: "workloads", kinds: []string{
		"apps/Deployment",
		"apps/StatefulSet",
		"apps/DaemonSet",
		"apps/ReplicaSet",
		"batch/Job",
		"batch/CronJob",
		"Pod",
		"ReplicationController",
	}},
	{name: "exposure", kinds: []string{
		"autoscaling/HorizontalPodAutoscaler",
		"policy/PodDisruptionBudget",
		"networking.k8s.io/Ingress",
	}},
	{name: customStage},
	{name: "interception", kinds: []string{
		"admissionregistration.k8s.io/MutatingWebhookConfiguration",
		"admissionregistration.k8s.io/ValidatingWebhookConfiguration",
		"admissionregistration.k8s.io/MutatingAdmissionPolicy",
		"admissionregistration.k8s.io/MutatingAdmissionPolicyBinding",
		"admissionregistration.k8s.io/ValidatingAdmissionPolicy",
		"admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding",
		"apiregistration.k8s.io/APIService",
	}},
}

// stageOf maps group and kind to an index of stages; unlisted is the index of the custom stage.
var stageOf, unlisted = func() (map[string]int, int) {
	index, custom := make(map[string]int), 0
	for i, stage := range stages {
		if stage.name == customStage {
			custom = i
		}
		for _, kind := range stage.kinds {
			index[kind] = i
		}
	}
	return index, custom
}()

// stage returns the index of the stage that r belongs to.
func (r Ref) stage() int {
	key := r.Kind
	if r.Group != "" {
		key = r.Group + "/" + r.Kind
	}
	if i, ok := stageOf[key]; ok {
		return i
	}
	return unlisted
}

// StageName returns the name of the stage in which the object is applied.
func (r Ref) StageName() string { return stages[r.stage()].name }

// Stages returns the objects of s in the order of apply. Stages without objects are left out. The objects must not be changed.
func (s *Set) Stages() []Stage {
	if s == nil {
		return nil
	}
	return Order(s.objects)
}

// Order groups objects into stages in the order of apply. Stages without objects are left out; in a stage, objects keep their order.
func Order(objects []Object) []Stage {
	groups := group(objects, func(obj Object) int { return obj.Ref().stage() })
	var out []Stage
	for i, members := range groups {
		if len(members) > 0 {
			out = append(out, Stage{Name: stages[i].name, Wait: stages[i].wait, Objects: members})
		}
	}
	return out
}

// DeleteOrder groups refs in the order of deletion, which is the order of apply reversed. In a group, refs keep their order. It needs
// no objects because what is to be deleted is known from an inventory.
func DeleteOrder(refs []Ref) [][]Ref {
	groups := group(refs, Ref.stage)
	var out [][]Ref
	for i := len(groups) - 1; i >= 0; i-- {
		if len(groups[i]) > 0 {
			out = append(out, groups[i])
		}
	}
	return out
}

func group[T any](items []T, stage func(T) int) (groups [len(stages)][]T) {
	for _, item := range items {
		i := stage(item)
		groups[i] = append(groups[i], item)
	}
	return groups
}
