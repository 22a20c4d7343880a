package main

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/yardarm-dev/yardarm/pkg/manifest"
)

// The kinds that are managed; each has its place in a cycle of five objects.
var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets     = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	services    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

	cycle = []schema.GroupVersionResource{configMaps, configMaps, secrets, services, deployments}
	kinds = []schema.GroupVersionResource{configMaps, secrets, services, deployments}
)

// object is one that a bundle has.
type object struct {
	resource schema.GroupVersionResource
	name     string
}

// objectsOf are the objects of a bundle, the same in each revision.
func objectsOf(bundle string, n int) []object {
	all := make([]object, n)
	for i := range all {
		all[i] = object{cycle[i%len(cycle)], fmt.Sprintf("%s-%03d", bundle, i)}
	}
	return all
}

// manifests are a bundle's files in one revision, one for each object. Every revision changes every object.
func manifests(bundle string, n, revision int) []manifest.File {
	var files []manifest.File
	for _, o := range objectsOf(bundle, n) {
		files = append(files, manifest.File{Path: o.name + ".yaml", Data: []byte(o.manifest(revision))})
	}
	return files
}

func (o object) manifest(revision int) string {
	meta := fmt.Sprintf("metadata:\n  name: %s\n  labels: {app: %s}\n  annotations: {revision: \"%d\"}\n", o.name, o.name, revision)
	switch o.resource {
	case secrets:
		return "apiVersion: v1\nkind: Secret\n" + meta + fmt.Sprintf("stringData:\n  revision: \"%d\"\n  key: %s\n", revision, strings.Repeat("k", 64))
	case services:
		return "apiVersion: v1\nkind: Service\n" + meta + fmt.Sprintf("spec:\n  selector: {app: %s}\n  ports:\n  - {name: http, port: 80, targetPort: http}\n", o.name)
	case deployments: // of no pods, so that it is ready without nodes
		return "apiVersion: apps/v1\nkind: Deployment\n" + meta + fmt.Sprintf(`spec:
  replicas: 0
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - name: main
        image: example.com/%[1]s:1
        ports: [{name: http, containerPort: 8080}]
        env: [{name: LEVEL, value: info}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
`, o.name)
	}
	return "apiVersion: v1\nkind: ConfigMap\n" + meta + fmt.Sprintf("data:\n  revision: \"%d\"\n  text: %s\n", revision, strings.Repeat("some text ", 40))
}
