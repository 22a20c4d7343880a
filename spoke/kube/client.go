package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// DefaultNamespace is where a spoke keeps what is its own.
	DefaultNamespace = "yardarm-system"
	// requestTimeout bounds one request other than a watch: the API server's own limit is 60 s, and nothing a spoke asks for
	// takes half of it.
	requestTimeout = 30 * time.Second
)

// ErrNoCluster says that nothing tells which cluster is meant. Whatever kubectl happens to point at is not taken by accident.
var ErrNoCluster = errors.New("not running in a cluster: say which one it is by --kubeconfig, or by --context of the default kubeconfig")

// Config says which API server to use, and how.
type Config struct {
	// Kubeconfig is a file's path. Empty: the default files if Context is given, otherwise the cluster that the program runs in.
	Kubeconfig string
	// Context of the kubeconfig. Empty: its current one.
	Context string
	// REST is used instead of both, if given.
	REST *rest.Config
	// Namespace for the spoke's own objects. Default: DefaultNamespace. It is created when first needed.
	Namespace string
	// UserAgent names the program in audit logs. Default: "yardarm-spoke".
	UserAgent string
	// Logger gets the API server's warnings, at level debug.
	Logger *slog.Logger
	// Registerer gets a counter of requests, if given.
	Registerer prometheus.Registerer
}

// Client is a connection to one API server. All clients share its connections. Safe for concurrent use.
type Client struct {
	// Dynamic reads and writes whole objects, Metadata only their metadata, at a fraction of the cost.
	Dynamic  dynamic.Interface
	Metadata metadata.Interface
	Mapper   *Mapper

	rest      rest.Interface
	config    *rest.Config
	namespace string

	mu    sync.Mutex
	ready bool // the namespace was there
}

// New makes a Client. It does not connect yet.
func New(c Config) (*Client, error) {
	config, err := restConfig(c)
	if err != nil {
		return nil, fmt.Errorf("configure kubernetes client: %w", err)
	}
	config = rest.CopyConfig(config)
	config.UserAgent = c.UserAgent
	if config.UserAgent == "" {
		config.UserAgent = "yardarm-spoke"
	}
	// The API server's priority and fairness limits what it has to; a limiter here would only slow down the first apply.
	// How much is asked for at a time is bounded where it is asked.
	config.QPS = -1
	config.WarningHandlerWithContext = warnings{c.Logger}
	requests, err := newRequests(c.Registerer)
	if err != nil {
		return nil, fmt.Errorf("configure kubernetes client: %w", err)
	}
	config.Wrap(requests.wrap)
	k := &Client{config: config, namespace: c.Namespace}
	if k.namespace == "" {
		k.namespace = DefaultNamespace
	}
	shared, err := k.connect(config)
	if err == nil {
		k.rest, err = rawClient(config, shared)
	}
	if err != nil {
		return nil, fmt.Errorf("configure kubernetes client: %w", err)
	}
	k.Mapper = newMapper(k.get)
	return k, nil
}

// connect makes the clients for objects.
func (k *Client) connect(config *rest.Config) (*http.Client, error) {
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	if k.Dynamic, err = dynamic.NewForConfigAndClient(config, shared); err != nil {
		return nil, err
	}
	k.Metadata, err = metadata.NewForConfigAndClient(config, shared)
	return shared, err
}

// As answers a Client that reads and writes objects as a service account, for which the spoke's own account needs the right to
// impersonate it. Connections and what is known of kinds are shared. No groups are sent: the API server adds those of
// service accounts itself, and asks for the right to impersonate groups that are sent.
func (k *Client) As(namespace, name string) (*Client, error) {
	config := rest.CopyConfig(k.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + namespace + ":" + name}
	as := &Client{Mapper: k.Mapper, rest: k.rest, config: config, namespace: k.namespace}
	if _, err := as.connect(config); err != nil {
		return nil, fmt.Errorf("configure kubernetes client for service account %s/%s: %w", namespace, name, err)
	}
	return as, nil
}

// warnings logs what the API server says beside its answers, such as that a version is deprecated.
type warnings struct{ logger *slog.Logger }

func (w warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _ string, text string) {
	const misc = 299 // the only code that is used
	if w.logger != nil && code == misc {
		w.logger.DebugContext(ctx, "warning of the API server", "warning", text)
	}
}

// Transient tells whether an error may pass by itself: the API server is not there, or asks for patience.
func Transient(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsUnexpectedServerError(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func restConfig(c Config) (*rest.Config, error) {
	if c.REST != nil {
		return c.REST, nil
	}
	if c.Kubeconfig == "" && c.Context == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, ErrNoCluster
		}
		return config, err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if c.Kubeconfig != "" {
		if _, err := os.Stat(c.Kubeconfig); err != nil {
			return nil, err
		}
		rules.ExplicitPath = c.Kubeconfig
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.Context}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
}

// rawClient answers bytes for paths, for the few requests whose answers have small types of our own.
func rawClient(config *rest.Config, shared *http.Client) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &schema.GroupVersion{}
	config.APIPath = "/"
	config.ContentType = runtime.ContentTypeJSON
	config.AcceptContentTypes = runtime.ContentTypeJSON
	config.NegotiatedSerializer = serializer.NewCodecFactory(runtime.NewScheme()).WithoutConversion()
	return rest.UnversionedRESTClientForConfigAndClient(config, shared)
}

// get answers the body of a path with query parameters, as JSON.
func (k *Client) get(ctx context.Context, path string, params map[string]string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request := k.rest.Get().AbsPath(path)
	for key, value := range params {
		request = request.Param(key, value)
	}
	return request.DoRaw(ctx)
}

// Namespace is where the spoke keeps what is its own.
func (k *Client) Namespace() string { return k.namespace }

// EnsureNamespace makes that namespace if it is not there. It asks once in a process.
func (k *Client) EnsureNamespace(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ready {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := k.Metadata.Resource(namespaces).Get(ctx, k.namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		namespace := &unstructured.Unstructured{}
		namespace.SetAPIVersion("v1")
		namespace.SetKind("Namespace")
		namespace.SetName(k.namespace)
		_, err = k.Dynamic.Resource(namespaces).Create(ctx, namespace, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			err = nil
		}
	}
	// A spoke that may not read namespaces was installed by somebody who made this one.
	if err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("make namespace %s: %w", k.namespace, err)
	}
	k.ready = true
	return nil
}

func (k *Client) forgetNamespace() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ready = false
}

// UID answers the uid of the kube-system namespace, which identifies a cluster for its whole life.
func (k *Client) UID(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	namespace, err := k.Metadata.Resource(namespaces).Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("read the cluster's uid: %w", err)
	}
	return string(namespace.UID), nil
}

var (
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
)
