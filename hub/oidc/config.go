package oidc

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/yardarm-dev/yardarm/pkg/login"
	"github.com/yardarm-dev/yardarm/pkg/selector"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

const (
	// Kind is what the file says that it is.
	Kind = "IdentityProviders"
	// maxFile is how large the file, or one with a CA, may be, in bytes; a wrong path is noticed before it fills memory.
	maxFile = 1 << 20
	// maxSecret is how long a client's secret may be, in bytes: those of providers are of some 40.
	maxSecret = 1 << 10
	// maxProviders is how many there may be: each is asked for its keys every few minutes.
	maxProviders = 32
)

// algorithms are those by which a token may be signed, if a provider is not narrowed to some: a public key verifies all of them. By one with a
// shared secret, whoever may verify could sign.
var algorithms = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}

// Config is the file of identity providers.
type Config struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Providers  []Provider `json:"providers"`
}

// Provider is one identity provider, and what its tokens mean here.
type Provider struct {
	// Name is a DNS-1123 label. By default, what the provider's users and groups are called begins with it and a colon.
	Name string `json:"name"`
	// Issuer is the https URL below which its discovery document is, exactly as tokens name it.
	Issuer string `json:"issuer"`
	// Audiences are those of which a token has to name one; the clients of Login and Pages are always among them.
	Audiences []string `json:"audiences,omitempty"`
	// CA is a file with the certificates to know the provider by, in PEM; beside the file of providers unless absolute. Default: the system's.
	CA string `json:"ca,omitempty"`
	// Algorithms narrows those by which its tokens may be signed. Default: all with a public key.
	Algorithms []string `json:"algorithms,omitempty"`
	// Username says what the user is called. Default: the claim sub.
	Username Claim `json:"username,omitempty"`
	// Groups says which claims name groups; each may be a text or a list of texts, and a token may lack it.
	Groups []Claim `json:"groups,omitempty"`
	// Required are claims that a token has to have, each with one of these values.
	Required map[string][]string `json:"required,omitempty"`
	// Login is how people get its tokens by `yardarm login`. Without it they do not.
	Login *Client `json:"login,omitempty"`
	// Pages is how people sign in to the hub's pages, to which it sends them back as https://HUB/signin. Without it they do not.
	Pages *Client `json:"pages,omitempty"`

	// roots are the certificates in CA, in PEM.
	roots []byte
}

// Claim is a claim that names a user, or groups.
type Claim struct {
	Claim string `json:"claim,omitempty"`
	// Prefix is put before each of its values. Default: the provider's name and a colon, so that no two providers speak of the same user.
	Prefix *string `json:"prefix,omitempty"`
}

// Client is a client at the provider: a public one unless it has a secret. Either way, what it asks for is redeemed with what only the one who asked knows (PKCE).
type Client struct {
	ClientID string `json:"clientID"`
	// Scopes are asked for beside openid. Default: profile, email and offline_access.
	Scopes []string `json:"scopes,omitempty"`
	// ClientSecretFile is a file with the client's secret and nothing else; beside the file of providers unless absolute. Only that of Pages has one, since the hub
	// keeps it: a program on people's machines could not.
	ClientSecretFile string `json:"clientSecretFile,omitempty"`
	// TokenEndpointAuthMethod is how the secret is sent, by the name that providers have for it: client_secret_basic, or client_secret_post. Default: client_secret_basic.
	TokenEndpointAuthMethod string `json:"tokenEndpointAuthMethod,omitempty"`

	// Secret is what is in the file. It is exported for fmt's sake, which would show a field of its own accord that is not.
	Secret login.Secret `json:"-"`
}

// The ways to send a secret.
const (
	secretBasic = "client_secret_basic"
	secretPost  = "client_secret_post"
)

// Same tells whether two readings mean the same, what is in the files that they name included.
func (c *Config) Same(other *Config) bool { return reflect.DeepEqual(c, other) }

// Load reads the file. A field that is not known is an error, since it is most likely misspelt, and what it was to narrow would not be.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read identity providers: %w", err)
	}
	c, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read identity providers from %s: %w", path, err)
	}
	for i := range c.Providers {
		if err := c.Providers[i].readFiles(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("read identity providers from %s: providers[%d].%w", path, i, err)
		}
	}
	return c, nil
}

func parse(data []byte) (*Config, error) {
	c := &Config{}
	if err := yaml.UnmarshalStrict(data, c); err != nil {
		return nil, err
	}
	if c.APIVersion != yardarmv1.APIVersion || c.Kind != Kind {
		return nil, fmt.Errorf("apiVersion and kind are to be %s and %s", yardarmv1.APIVersion, Kind)
	}
	if len(c.Providers) > maxProviders {
		return nil, fmt.Errorf("providers: there are %d; at most %d are known", len(c.Providers), maxProviders)
	}
	names, issuers := map[string]bool{}, map[string]bool{}
	for i := range c.Providers {
		p := &c.Providers[i]
		err := p.complete()
		switch {
		case err == nil && names[p.Name]:
			err = fmt.Errorf("name: %q is there twice", p.Name)
		case err == nil && issuers[p.Issuer]:
			err = fmt.Errorf("issuer: %s is there twice", p.Issuer)
		}
		if err != nil {
			return nil, fmt.Errorf("providers[%d].%w", i, err)
		}
		names[p.Name], issuers[p.Issuer] = true, true
	}
	return c, nil
}

// complete checks a provider, and fills in what it leaves out. The error begins with the field.
func (p *Provider) complete() error {
	if err := selector.ValidateName(p.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	issuer, err := url.Parse(p.Issuer)
	if err != nil || issuer.Scheme != "https" || issuer.Host == "" || issuer.User != nil || issuer.RawQuery != "" || issuer.Fragment != "" {
		return errors.New("issuer: it is to be an https URL, exactly as tokens name it")
	}
	if err := cmp.Or(p.client("login", p.Login), p.client("pages", p.Pages)); err != nil {
		return err
	}
	if p.Login != nil && p.Login.ClientSecretFile != "" {
		return errors.New("login.clientSecretFile: programs on people's machines keep no secret: let it be a public client, and leave this out")
	}
	if len(p.Audiences) == 0 || slices.Contains(p.Audiences, "") {
		return errors.New("audiences: name those of which a token has to have one: without, tokens that were made for others would count")
	}
	for _, a := range p.Algorithms {
		if !slices.Contains(algorithms, a) {
			return fmt.Errorf("algorithms: %q is none of %s", a, strings.Join(algorithms, ", "))
		}
	}
	if p.Algorithms == nil {
		p.Algorithms = algorithms
	}
	if p.Username.Claim == "" {
		p.Username.Claim = "sub"
	}
	p.Username.complete(p.Name)
	for i := range p.Groups {
		if p.Groups[i].Claim == "" {
			return fmt.Errorf("groups[%d].claim: is missing", i)
		}
		p.Groups[i].complete(p.Name)
	}
	for claim, values := range p.Required {
		if claim == "" || len(values) == 0 {
			return fmt.Errorf("required: claim %q needs at least one value", claim)
		}
	}
	return nil
}

// client completes what a field says of one, if it does. Its tokens count.
func (p *Provider) client(field string, c *Client) error {
	if c == nil {
		return nil
	}
	if c.ClientID == "" {
		return fmt.Errorf("%s.clientID: is missing", field)
	}
	switch {
	case c.ClientSecretFile == "" && c.TokenEndpointAuthMethod != "":
		return fmt.Errorf("%s.tokenEndpointAuthMethod: a client without clientSecretFile sends no secret; leave it out", field)
	case !slices.Contains([]string{"", secretBasic, secretPost}, c.TokenEndpointAuthMethod):
		return fmt.Errorf("%s.tokenEndpointAuthMethod: %q is neither %s nor %s", field, c.TokenEndpointAuthMethod, secretBasic, secretPost)
	}
	if c.Scopes == nil {
		c.Scopes = []string{"profile", "email", "offline_access"}
	}
	if !slices.Contains(p.Audiences, c.ClientID) {
		p.Audiences = append(p.Audiences, c.ClientID)
	}
	return nil
}

func (c *Claim) complete(provider string) {
	if c.Prefix == nil {
		prefix := provider + ":"
		c.Prefix = &prefix
	}
}

// readFiles reads what a provider names, from a folder where that is not absolute. The error begins with the field, and says nothing of what is in a file.
func (p *Provider) readFiles(dir string) (err error) {
	if p.CA != "" {
		path := within(dir, p.CA)
		if p.roots, err = readFile(path); err != nil {
			return fmt.Errorf("ca: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(p.roots) {
			return fmt.Errorf("ca: %s holds no certificate in PEM", path)
		}
	}
	if p.Pages != nil && p.Pages.ClientSecretFile != "" {
		path := within(dir, p.Pages.ClientSecretFile)
		text, err := readFile(path)
		if err != nil {
			return fmt.Errorf("pages.clientSecretFile: %w", err)
		}
		secret := strings.TrimRight(string(text), "\r\n")
		if secret == "" || len(secret) > maxSecret || strings.ContainsFunc(secret, unicode.IsControl) {
			return fmt.Errorf("pages.clientSecretFile: %s is to hold the secret and nothing else: one line of at most %d bytes", path, maxSecret)
		}
		p.Pages.Secret = login.Secret(secret)
	}
	return nil
}

func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes; is it the right file?", path, info.Size())
	}
	return os.ReadFile(path)
}
