package keep

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/yardarm-dev/yardarm/spoke/enroll"
	"github.com/yardarm-dev/yardarm/spoke/kube"
)

const (
	// identityName is the Secret that holds the identity. Its annotation says which instance has claimed it.
	identityName = "yardarm-identity"
	identityType = "yardarm.dev/identity"
	// annotationInstance is the claim.
	annotationInstance = "yardarm.dev/instance"
	identityField      = "identity.json"
	// requestTimeout bounds one request.
	requestTimeout = 30 * time.Second
	// claimTries is how often a claim is tried again when others write at the same moment: two pods that start together.
	claimTries = 10
)

// Identity is an enroll.Keep in a Secret. The newest claim wins: a pod that replaces another takes over, and the other one
// learns of it at its next Check or Save. Safe for concurrent use.
type Identity struct {
	client  *kube.Client
	secrets dynamic.ResourceInterface

	mu       sync.Mutex
	instance string
}

var _ enroll.Keep = (*Identity)(nil)

// NewIdentity makes the Keep. It reads nothing yet.
func NewIdentity(k *kube.Client) *Identity {
	resource := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	return &Identity{client: k, secrets: k.Dynamic.Resource(resource).Namespace(k.Namespace())}
}

// String says where it is.
func (i *Identity) String() string { return "Secret " + i.client.Namespace() + "/" + identityName }

// Claim implements enroll.Keep.
func (i *Identity) Claim(ctx context.Context, instance string) error {
	if err := i.client.EnsureNamespace(ctx); err != nil {
		return fmt.Errorf("claim %s: %w", i, err)
	}
	var err error
	for range claimTries {
		if err = i.claim(ctx, instance); err == nil {
			i.mu.Lock()
			i.instance = instance
			i.mu.Unlock()
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return fmt.Errorf("claim %s: %w", i, err)
}

func (i *Identity) claim(ctx context.Context, instance string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	secret, err := i.secrets.Get(ctx, identityName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		secret = &unstructured.Unstructured{Object: map[string]any{"type": identityType}}
		secret.SetAPIVersion("v1")
		secret.SetKind("Secret")
		secret.SetName(identityName)
		secret.SetNamespace(i.client.Namespace())
		setInstance(secret, instance)
		_, err = i.secrets.Create(ctx, secret, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	setInstance(secret, instance)
	_, err = i.secrets.Update(ctx, secret, metav1.UpdateOptions{}) // compares the resource version
	return err
}

// Check implements enroll.Keep.
func (i *Identity) Check(ctx context.Context) error {
	_, err := i.read(ctx)
	return err
}

// get answers the Secret, whoever has claimed it; nil if there is none.
func (i *Identity) get(ctx context.Context) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	secret, err := i.secrets.Get(ctx, identityName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", i, err)
	}
	return secret, nil
}

// read answers the Secret if it is still this instance's. One that somebody deleted is claimed by nobody.
func (i *Identity) read(ctx context.Context) (*unstructured.Unstructured, error) {
	secret, err := i.get(ctx)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		return nil, fmt.Errorf("%s has been deleted: %w", i, enroll.ErrClaimed)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if secret.GetAnnotations()[annotationInstance] != i.instance {
		return nil, fmt.Errorf("%s: %w", i, enroll.ErrClaimed)
	}
	return secret, nil
}

// Load implements enroll.Keep. Before Claim it reads what is another instance's.
func (i *Identity) Load(ctx context.Context) (*enroll.Kept, error) {
	read := i.read
	if i.mu.Lock(); i.instance == "" {
		read = i.get
	}
	i.mu.Unlock()
	secret, err := read(ctx)
	if secret == nil || err != nil {
		return nil, err
	}
	text, found, _ := unstructured.NestedString(secret.Object, "data", identityField)
	if !found || text == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: the identity is damaged", i)
	}
	kept, err := enroll.DecodeKept(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", i, err)
	}
	return kept, nil
}

// Save implements enroll.Keep.
func (i *Identity) Save(ctx context.Context, kept *enroll.Kept) error {
	data, err := kept.Encode()
	if err != nil {
		return err
	}
	for range claimTries {
		var secret *unstructured.Unstructured
		if secret, err = i.read(ctx); err != nil {
			return err
		}
		if err = i.update(ctx, secret, data); err == nil {
			return nil
		}
		// Another instance's claim, or somebody's label: reading again tells.
		if !apierrors.IsConflict(err) {
			break
		}
	}
	return fmt.Errorf("keep %s: %w", i, err)
}

func (i *Identity) update(ctx context.Context, secret *unstructured.Unstructured, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	secret.Object["data"] = map[string]any{identityField: base64.StdEncoding.EncodeToString(data)}
	_, err := i.secrets.Update(ctx, secret, metav1.UpdateOptions{})
	return err
}

func setInstance(secret *unstructured.Unstructured, instance string) {
	annotations := secret.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annotationInstance] = instance
	secret.SetAnnotations(annotations)
}
