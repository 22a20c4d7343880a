// Package clientconfig is the CLI's file of contexts: which hubs there are, how to know them, and who to be there.
//
//	apiVersion: yardarm.dev/v1
//	kind: Config
//	currentContext: local
//	contexts:
//	- name: local
//	  server: https://hub.example.com:8443
//	  ca: |
//	    -----BEGIN CERTIFICATE-----
//	    …
//	  token: yat_…
//	- name: office
//	  server: https://hub.example.com:8443
//	  login: {issuer: https://login.example.com, clientID: yardarm, idToken: …, refreshToken: …}
//
// The CLI reads and changes it; the hub writes one for its local administrator. It holds credentials, so it is always written for its
// owner only, and never shown in errors.
package clientconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/yardarm-dev/yardarm/pkg/atomicfile"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// Kind is the kind of the file, beside [yardarmv1.APIVersion].
const Kind = "Config"

// EnvPath names the environment variable that overrides where the file is.
const EnvPath = "YARDARM_CONFIG"

// maxSize bounds what Load reads, in bytes: thousands of contexts fit, and a wrong path is noticed before it fills memory.
const maxSize = 4 << 20

// ErrNoContext means that the file has no context of the name asked for.
var ErrNoContext = errors.New("no such context")

// Config is the file. Change the fields, then Save.
type Config struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// CurrentContext is what the CLI uses when told nothing else. May be empty.
	CurrentContext string    `json:"currentContext,omitempty"`
	Contexts       []Context `json:"contexts"`

	// open is the file's mode, if others than its owner can read it.
	open fs.FileMode
	path string
}

// Context is a hub, and who to be there.
type Context struct {
	Name string `json:"name"`
	// Server is "https://host:port".
	Server string `json:"server"`
	// CA is the certificates to know the hub by, in PEM; the system's roots when empty.
	CA string `json:"ca,omitempty"`
	// Token is the credential, a secret.
	Token string `json:"token,omitempty"`
	// Login is a sign-in by an identity provider, whose ID token is the credential where there is no Token.
	Login *Login `json:"login,omitempty"`
	// ClientCertificate and ClientKey, in PEM, are a credential of their own, where there is no other. The key is a secret.
	ClientCertificate string `json:"clientCertificate,omitempty"`
	ClientKey         string `json:"clientKey,omitempty"`
}

// Login is a sign-in by an identity provider.
type Login struct {
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"clientID"`
	Scopes   []string `json:"scopes,omitempty"`
	// CA is the certificates to know the issuer by, in PEM; the system's roots when empty.
	CA string `json:"ca,omitempty"`
	// IDToken and RefreshToken, which may be empty, are secrets.
	IDToken      string `json:"idToken"`
	RefreshToken string `json:"refreshToken,omitempty"`
}

// DefaultPath returns where the file is: $YARDARM_CONFIG, or yardarm/config.yaml in the user's folder for configuration.
func DefaultPath() (string, error) {
	if path := os.Getenv(EnvPath); path != "" {
		return path, nil
	}
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the configuration file: set %s: %w", EnvPath, err)
	}
	return filepath.Join(folder, "yardarm", "config.yaml"), nil
}

// New returns an empty configuration.
func New() *Config {
	return &Config{APIVersion: yardarmv1.APIVersion, Kind: Kind}
}

// Load reads and validates the file. A file that does not exist is an error that is [fs.ErrNotExist]. A field that is not known is an
// error too, since it is most likely misspelt.
func Load(path string) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxSize {
		return nil, fmt.Errorf("read configuration %s: it has %d bytes; is it the right file?", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	config, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	config.path = path
	if info.Mode().Perm()&0o077 != 0 {
		config.open = info.Mode().Perm()
	}
	return config, nil
}

// secretPattern matches credentials: the hub's own (yat_…), and ID tokens (eyJ…).
var secretPattern = regexp.MustCompile(`(yat_|eyJ)[0-9A-Za-z_.-]+`)

func parse(data []byte) (*Config, error) {
	var config Config
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		text := err.Error()
		// The wrapping says how the decoder works, not what is wrong.
		if i := strings.LastIndex(text, "json: "); i >= 0 {
			text = text[i+len("json: "):]
		}
		// A decoder quotes what it does not understand, which in a damaged file may be a token.
		return nil, errors.New(secretPattern.ReplaceAllString(text, "…"))
	}
	if config.APIVersion != yardarmv1.APIVersion || config.Kind != Kind {
		return nil, fmt.Errorf("apiVersion and kind are to be %s and %s", yardarmv1.APIVersion, Kind)
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &config, nil
}

// Save writes the file, for its owner only, whole or not at all. It makes the folder.
func (c *Config) Save(path string) error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("write configuration %s: %w", path, err)
	}
	data, err := yaml.Marshal(c)
	if err != nil {
		return fmt.Errorf("write configuration %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := atomicfile.Write(path, data, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// Warnings says what is worth telling the user about a file that was loaded: that others can read its tokens.
func (c *Config) Warnings() []string {
	if c.open == 0 || !slices.ContainsFunc(c.Contexts, func(context Context) bool { return context.HasSecrets() }) {
		return nil
	}
	return []string{fmt.Sprintf("%s holds credentials and others can read it (mode %04o): chmod 600 %s", c.path, c.open, c.path)}
}

// Context returns the context of this name, or the current one for an empty name. Errors are [ErrNoContext].
func (c *Config) Context(name string) (*Context, error) {
	if name == "" {
		name = c.CurrentContext
	}
	if name == "" {
		return nil, fmt.Errorf("%w: none is current", ErrNoContext)
	}
	for i := range c.Contexts {
		if c.Contexts[i].Name == name {
			return &c.Contexts[i], nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrNoContext, name)
}

// Put adds a context, or replaces the one of its name. The first one becomes the current one.
func (c *Config) Put(context Context) {
	if existing, err := c.Context(context.Name); err == nil && context.Name != "" {
		*existing = context
	} else {
		c.Contexts = append(c.Contexts, context)
	}
	if c.CurrentContext == "" {
		c.CurrentContext = context.Name
	}
}

// Remove drops a context; if it is the current one, none is current afterwards. It says whether there was one.
func (c *Config) Remove(name string) bool {
	before := len(c.Contexts)
	c.Contexts = slices.DeleteFunc(c.Contexts, func(context Context) bool { return context.Name == name })
	if c.CurrentContext == name {
		c.CurrentContext = ""
	}
	return len(c.Contexts) < before
}

func (c *Config) validate() error {
	seen := make(map[string]bool)
	for i, context := range c.Contexts {
		field := fmt.Sprintf("contexts[%d]", i)
		if context.Name == "" {
			return fmt.Errorf("%s.name is missing", field)
		}
		if seen[context.Name] {
			return fmt.Errorf("%s.name: %q is there twice", field, context.Name)
		}
		seen[context.Name] = true
		if _, err := context.Host(); err != nil {
			return fmt.Errorf("%s.server: %w", field, err)
		}
		if _, err := context.TLS(); err != nil {
			return fmt.Errorf("%s.ca or client certificate: %w", field, err)
		}
	}
	if c.CurrentContext != "" && !seen[c.CurrentContext] {
		return fmt.Errorf("currentContext: %w: %q", ErrNoContext, c.CurrentContext)
	}
	return nil
}

// Host returns the server's "host:port"; the port is 443 where none is given.
func (c Context) Host() (string, error) {
	server, err := url.Parse(c.Server)
	// What the parser says is left out: it quotes the text, which may hold a password.
	if err != nil || server.Scheme != "https" || server.Hostname() == "" || server.User != nil ||
		(server.Path != "" && server.Path != "/") || server.RawQuery != "" || server.Fragment != "" {
		return "", errors.New("it is to be https://HOST:PORT")
	}
	if server.Port() == "" {
		return server.Host + ":443", nil
	}
	return server.Host, nil
}

// HasSecrets tells whether there is anything in it that nobody else is to see.
func (c Context) HasSecrets() bool { return c.Token != "" || c.Login != nil || c.ClientKey != "" }

// Masked is the context with its secrets replaced, for people to look at.
func (c Context) Masked(mask string) Context {
	hide := func(secret *string) {
		if *secret != "" {
			*secret = mask
		}
	}
	hide(&c.Token)
	hide(&c.ClientKey)
	if c.Login != nil {
		login := *c.Login
		hide(&login.IDToken)
		hide(&login.RefreshToken)
		c.Login = &login
	}
	return c
}

// TLS returns how to know the hub, and the client certificate to show to it, if there is one.
func (c Context) TLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ClientCertificate != "" || c.ClientKey != "" {
		pair, err := tls.X509KeyPair([]byte(c.ClientCertificate), []byte(c.ClientKey))
		if err != nil {
			return nil, errors.New("the client certificate and its key are not a pair in PEM")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if c.CA == "" {
		return config, nil
	}
	chain := certs.DecodeChain([]byte(c.CA))
	if len(chain) == 0 {
		return nil, errors.New("it holds no certificate in PEM")
	}
	parsed, err := certs.Parse(chain)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	for _, certificate := range parsed {
		config.RootCAs.AddCert(certificate)
	}
	return config, nil
}

// String keeps the token out of what is printed by mistake.
func (c Context) String() string {
	return fmt.Sprintf("%s (%s)", c.Name, c.Server)
}

// GoString keeps the token out of %#v.
func (c Context) GoString() string { return c.String() }
