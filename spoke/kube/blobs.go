package kube

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
)

// Layout. A value of class "state" under the key "holding/4f2c" is the Secret
//
//	yardarm-state.holding.4f2c
//	  labels        yardarm.dev/state: state      yardarm.dev/key: 4f2c (the key's last part)
//	  data.value    the value, if it fits
//
// A larger value is in parts, and the head says which; parts of other generations belong to writes that did not finish:
//
//	yardarm-state.holding.4f2c                annotations  yardarm.dev/parts: "<generation> <count>"
//	yardarm-state.holding.4f2c.<generation>-<i>   labels   yardarm.dev/state-part: state
const (
	labelState      = "yardarm.dev/state"
	labelPart       = "yardarm.dev/state-part"
	labelKey        = "yardarm.dev/key"
	annotationParts = "yardarm.dev/parts"
	secretType      = "yardarm.dev/state"
	valueField      = "value"

	// partSize is what one Secret holds: Kubernetes refuses 1 MiB, and etcd by default requests of 1.5 MiB.
	partSize = 900 << 10
	// MaxBlob bounds one value. More than this in etcd is a burden on the whole cluster.
	MaxBlob = 16 << 20
	// listPage is how many Secrets' metadata are listed at a time.
	listPage = 500
)

// ErrTooLarge says that a value is too large to keep in the cluster.
var ErrTooLarge = errors.New("too large to be kept in the cluster: give the spoke a state directory on a volume")

// ErrChanged says that a value is not in the version that a write expected: somebody else has written it.
var ErrChanged = errors.New("changed by somebody else")

// Version of a value. The zero Version is that of a value that is not there.
type Version string

// Blobs keeps values of one class in Secrets, each replaced whole or not at all. Safe for concurrent use.
type Blobs struct {
	class     string
	namespace string
	secrets   dynamic.ResourceInterface
	metadata  metadata.ResourceInterface
	client    *Client

	mu     sync.Mutex
	parted map[string]bool // names of values known to be in parts
}

// Blobs answers the values of a class, which is a short lower-case word.
func (k *Client) Blobs(class string) *Blobs {
	return &Blobs{
		class: class, namespace: k.namespace,
		secrets:  k.Dynamic.Resource(secrets).Namespace(k.namespace),
		metadata: k.Metadata.Resource(secrets).Namespace(k.namespace),
		client:   k,
		parted:   map[string]bool{},
	}
}

// List answers all keys, and removes what interrupted writes left.
func (b *Blobs) List(ctx context.Context) ([]string, error) {
	prefix := b.name("")
	var keys []string
	current := map[string]bool{} // "<head>.<generation>"
	err := b.each(ctx, labelState, func(m *metav1.PartialObjectMetadata) error {
		keys = append(keys, strings.ReplaceAll(strings.TrimPrefix(m.Name, prefix), ".", "/"))
		generation, _, ok := parts(m)
		current[m.Name+"."+generation] = ok
		b.note(m.Name, ok)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s in secrets: %w", b.class, err)
	}
	err = b.each(ctx, labelPart, func(m *metav1.PartialObjectMetadata) error {
		if head, _, ok := cutLast(m.Name, "-"); ok && !current[head] {
			return b.remove(ctx, m.Name, "")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("clean up %s in secrets: %w", b.class, err)
	}
	return keys, nil
}

func (b *Blobs) each(ctx context.Context, label string, f func(*metav1.PartialObjectMetadata) error) error {
	options := metav1.ListOptions{LabelSelector: label + "=" + b.class, Limit: listPage}
	for {
		page, err := b.listPage(ctx, options)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := f(&page.Items[i]); err != nil {
				return err
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}

func (b *Blobs) listPage(ctx context.Context, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return b.metadata.List(ctx, options)
}

// Read answers a value and its version. The error wraps fs.ErrNotExist if there is none.
func (b *Blobs) Read(ctx context.Context, key string) ([]byte, Version, error) {
	// A value in parts may be replaced between the reading of its head and of its parts; then the head is read again.
	for attempt := 0; ; attempt++ {
		value, version, err := b.read(ctx, key)
		if err == nil || !errors.Is(err, ErrIncomplete) || attempt == 2 {
			return value, version, err
		}
	}
}

// ErrIncomplete says that a part of a value is missing: it is being replaced, or somebody deleted from it.
var ErrIncomplete = errors.New("a part of it is missing")

func (b *Blobs) read(ctx context.Context, key string) ([]byte, Version, error) {
	head, err := b.get(ctx, b.name(key))
	if apierrors.IsNotFound(err) {
		return nil, "", fmt.Errorf("secret %s: %w", b.name(key), fs.ErrNotExist)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read secret %s: %w", b.name(key), err)
	}
	version := Version(head.GetResourceVersion())
	generation, count, ok := parts(head)
	b.note(b.name(key), ok)
	if !ok {
		value, err := secretValue(head)
		return value, version, err
	}
	var value []byte
	for i := range count {
		part, err := b.get(ctx, b.part(key, generation, i))
		if apierrors.IsNotFound(err) {
			return nil, "", fmt.Errorf("secret %s: %w", b.part(key, generation, i), ErrIncomplete)
		}
		if err != nil {
			return nil, "", fmt.Errorf("read secret %s: %w", b.part(key, generation, i), err)
		}
		data, err := secretValue(part)
		if err != nil {
			return nil, "", err
		}
		if len(value)+len(data) > MaxBlob {
			return nil, "", fmt.Errorf("secret %s: %w", b.name(key), ErrTooLarge)
		}
		value = append(value, data...)
	}
	return value, version, nil
}

func (b *Blobs) get(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return b.secrets.Get(ctx, name, metav1.GetOptions{})
}

// Write replaces a value if it is in the version expected, and answers its new version. The error wraps ErrChanged if it is
// in another one.
func (b *Blobs) Write(ctx context.Context, key string, value []byte, expect Version) (Version, error) {
	if len(value) > MaxBlob {
		return "", fmt.Errorf("write %s %s of %d bytes: %w", b.class, key, len(value), ErrTooLarge)
	}
	if err := b.client.EnsureNamespace(ctx); err != nil {
		return "", err
	}
	head := b.secret(b.name(key), labelState)
	head.SetLabels(map[string]string{labelState: b.class, labelKey: lastPart(key)})
	generation, count := "", 0
	if len(value) <= partSize {
		setValue(head, value)
	} else {
		generation = strconv.FormatUint(rand.Uint64(), 36)
		for rest := value; len(rest) > 0; count++ {
			part := b.secret(b.part(key, generation, count), labelPart)
			n := min(len(rest), partSize)
			setValue(part, rest[:n])
			rest = rest[n:]
			if _, err := b.put(ctx, part, ""); err != nil {
				return "", fmt.Errorf("write secret %s: %w", part.GetName(), err)
			}
		}
		head.SetAnnotations(map[string]string{annotationParts: fmt.Sprintf("%s %d", generation, count)})
	}
	version, err := b.put(ctx, head, expect)
	if err != nil {
		b.removeParts(ctx, key, generation, count)
		return "", fmt.Errorf("write secret %s: %w", head.GetName(), err)
	}
	if b.note(head.GetName(), count > 0) {
		b.removeOtherParts(ctx, key, generation)
	}
	return version, nil
}

func (b *Blobs) put(ctx context.Context, secret *unstructured.Unstructured, expect Version) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var written *unstructured.Unstructured
	var err error
	if expect == "" {
		written, err = b.secrets.Create(ctx, secret, metav1.CreateOptions{})
	} else {
		secret.SetResourceVersion(string(expect))
		written, err = b.secrets.Update(ctx, secret, metav1.UpdateOptions{})
	}
	switch {
	case expect == "" && apierrors.IsNotFound(err):
		b.client.forgetNamespace() // somebody deleted it: the next write makes it again
		return "", err
	case apierrors.IsAlreadyExists(err), apierrors.IsConflict(err), expect != "" && apierrors.IsNotFound(err):
		return "", errors.Join(ErrChanged, err)
	case err != nil:
		return "", err
	}
	return Version(written.GetResourceVersion()), nil
}

// Delete removes a value if it is in the version expected; any version if expect is empty. A value that is not there is
// deleted without error.
func (b *Blobs) Delete(ctx context.Context, key string, expect Version) error {
	head, err := b.get(ctx, b.name(key))
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		err = b.remove(ctx, head.GetName(), expect)
	}
	if err != nil {
		return fmt.Errorf("delete secret %s: %w", b.name(key), err)
	}
	if generation, count, ok := parts(head); ok {
		b.removeParts(ctx, key, generation, count)
	}
	return nil
}

func (b *Blobs) remove(ctx context.Context, name string, expect Version) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var options metav1.DeleteOptions
	if expect != "" {
		rv := string(expect)
		options.Preconditions = &metav1.Preconditions{ResourceVersion: &rv}
	}
	err := b.metadata.Delete(ctx, name, options)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if apierrors.IsConflict(err) {
		return errors.Join(ErrChanged, err)
	}
	return err
}

// removeParts removes parts that no head names. What it fails to remove, List does.
func (b *Blobs) removeParts(ctx context.Context, key, generation string, count int) {
	for i := range count {
		_ = b.remove(ctx, b.part(key, generation, i), "")
	}
}

// note remembers whether a value is in parts, and answers whether it was.
func (b *Blobs) note(name string, inParts bool) (before bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before = b.parted[name]
	if inParts {
		b.parted[name] = true
	} else {
		delete(b.parted, name)
	}
	return before
}

// removeOtherParts removes the parts of a value's earlier generations.
func (b *Blobs) removeOtherParts(ctx context.Context, key, generation string) {
	prefix := b.name(key) + "."
	_ = b.each(ctx, labelPart, func(m *metav1.PartialObjectMetadata) error {
		rest, ok := strings.CutPrefix(m.Name, prefix)
		if g, _, cut := cutLast(rest, "-"); ok && cut && g != generation {
			return b.remove(ctx, m.Name, "")
		}
		return nil
	})
}

func (b *Blobs) secret(name, label string) *unstructured.Unstructured {
	secret := &unstructured.Unstructured{Object: map[string]any{"type": secretType}}
	secret.SetAPIVersion("v1")
	secret.SetKind("Secret")
	secret.SetNamespace(b.namespace)
	secret.SetName(name)
	secret.SetLabels(map[string]string{label: b.class})
	return secret
}

// name answers the Secret's name for a key. Keys have no dots, so that two keys never share one.
func (b *Blobs) name(key string) string {
	return "yardarm-" + b.class + "." + strings.ReplaceAll(key, "/", ".")
}

func (b *Blobs) part(key, generation string, i int) string {
	return b.name(key) + "." + generation + "-" + strconv.Itoa(i)
}

func setValue(secret *unstructured.Unstructured, value []byte) {
	secret.Object["data"] = map[string]any{valueField: base64.StdEncoding.EncodeToString(value)}
}

func secretValue(secret *unstructured.Unstructured) ([]byte, error) {
	text, _, _ := unstructured.NestedString(secret.Object, "data", valueField)
	value, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("secret %s is damaged: %w", secret.GetName(), err)
	}
	return value, nil
}

func parts(m metav1.Object) (generation string, count int, ok bool) {
	generation, number, ok := strings.Cut(m.GetAnnotations()[annotationParts], " ")
	if !ok {
		return "", 0, false
	}
	count, err := strconv.Atoi(number)
	return generation, count, err == nil && count > 0
}

func lastPart(key string) string {
	part := key[strings.LastIndex(key, "/")+1:]
	if len(validation.IsValidLabelValue(part)) > 0 {
		return ""
	}
	return part
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
