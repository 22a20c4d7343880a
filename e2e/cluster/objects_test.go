package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const deployments = "/apis/apps/v1/namespaces/default/deployments"

// template is a pod template of one container.
func template(app, image, restart string) object {
	return object{
		"metadata": object{"labels": object{"app": app}},
		"spec":     object{"restartPolicy": restart, "containers": []object{{"name": "main", "image": image}}},
	}
}

func create(t *testing.T, c *Cluster, path string, o object) {
	t.Helper()
	if err := c.admin.do(t.Context(), http.MethodPost, path, o, nil); err != nil {
		t.Fatal(err)
	}
}

func createDeployment(t *testing.T, c *Cluster, name, image string) {
	t.Helper()
	create(t, c, deployments, object{
		"metadata": object{"name": name},
		"spec": object{
			"replicas": 1,
			"selector": object{"matchLabels": object{"app": name}},
			"template": template(name, image, "Always"),
		},
	})
}

func createJob(t *testing.T, c *Cluster, name, image string) {
	t.Helper()
	create(t, c, "/apis/batch/v1/namespaces/default/jobs", object{
		"metadata": object{"name": name},
		"spec":     object{"template": template(name, image, "Never")},
	})
}

func createClaim(t *testing.T, c *Cluster, name string) {
	t.Helper()
	create(t, c, "/api/v1/namespaces/default/persistentvolumeclaims", object{
		"metadata": object{"name": name},
		"spec": object{
			"accessModes": []string{"ReadWriteOnce"},
			"resources":   object{"requests": object{"storage": "1Gi"}},
		},
	})
}

// available fails unless the Deployment is.
func available(ctx context.Context, c *Cluster, name string) error {
	var deployment struct{ Status status }
	if err := c.admin.get(ctx, deployments+"/"+name, &deployment); err != nil {
		return err
	}
	if deployment.Status.condition("Available") != "True" {
		return fmt.Errorf("deployment %s: %+v", name, deployment.Status)
	}
	return nil
}

// status is what is looked at of a Deployment's or a pod's.
type status struct {
	Phase             string
	Conditions        []struct{ Type, Status string }
	ContainerStatuses []struct {
		RestartCount int
		State        struct {
			Waiting struct{ Reason, Message string }
		}
		LastState struct{ Terminated struct{ ExitCode int } }
	}
}

// condition is the status of the condition of a type, or "".
func (s status) condition(kind string) string {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return ""
}

type pod struct{ Status status }

func (p pod) condition(kind string) string { return p.Status.condition(kind) }

// podOf returns the one pod of an app.
func podOf(ctx context.Context, c *Cluster, app string) (pod, error) {
	var pods struct{ Items []pod }
	path := "/api/v1/namespaces/default/pods?labelSelector=" + url.QueryEscape("app="+app)
	if err := c.admin.get(ctx, path, &pods); err != nil {
		return pod{}, err
	}
	if len(pods.Items) != 1 {
		return pod{}, fmt.Errorf("app %s has %d pods", app, len(pods.Items))
	}
	return pods.Items[0], nil
}

func isNotFound(err error) bool {
	var answer *statusError
	return errors.As(err, &answer) && strings.HasPrefix(answer.status, "404")
}
