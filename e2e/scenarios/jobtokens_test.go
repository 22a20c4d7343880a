package scenarios

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"sigs.k8s.io/yaml"
)

// jobTokens are the identity providers of CI systems, which make tokens for their jobs.
type jobTokens struct {
	*httptest.Server
	t   *testing.T
	key jose.JSONWebKey
	// config and ca are files: which providers the hub is to trust, and by which CA it knows them.
	config, ca string
}

// claims are what the tokens of each system say of a job of repository acme/web on its protected main branch.
var claims = map[string]map[string]any{
	"github": {"sub": "repo:acme/web:ref:refs/heads/main", "repository": "acme/web", "repository_owner": "acme", "environment": "production"},
	"gitlab": {"sub": "project_path:acme/web:ref_type:branch:ref:main", "project_path": "acme/web", "namespace_path": "acme", "ref_protected": "true"},
}

func newJobTokens(t *testing.T) *jobTokens {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	j := &jobTokens{t: t, key: jose.JSONWebKey{Key: key, KeyID: "one", Algorithm: string(jose.ES256), Use: "sig"}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{system}/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		issuer := j.URL + "/" + r.PathValue("system")
		j.answer(w, map[string]any{"issuer": issuer, "jwks_uri": j.URL + "/keys", "authorization_endpoint": issuer, "token_endpoint": issuer})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		j.answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{j.key.Public()}})
	})
	// As GitHub's runner offers it to the steps of a job.
	mux.HandleFunc("GET /github/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-job" {
			http.Error(w, "whose job is that", http.StatusUnauthorized)
			return
		}
		j.answer(w, map[string]any{"value": j.token("github", r.URL.Query().Get("audience"))})
	})
	j.Server = httptest.NewTLSServer(mux)
	t.Cleanup(j.Close)
	dir := t.TempDir()
	j.config, j.ca = filepath.Join(dir, "oidc.yaml"), filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(j.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: j.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	j.configure()
	return j
}

// configure takes the providers that docs/access.md shows, but for where they are.
func (j *jobTokens) configure() {
	j.t.Helper()
	page, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		j.t.Fatal(err)
	}
	var shown struct {
		Providers []map[string]any `json:"providers"`
	}
	for _, block := range yamlBlocks.FindAllStringSubmatch(string(page), -1) {
		if err := yaml.Unmarshal([]byte(block[1]), &shown); err == nil && len(shown.Providers) > 0 {
			break
		}
	}
	config := map[string]any{"apiVersion": "yardarm.dev/v1", "kind": "IdentityProviders"}
	var providers []map[string]any
	for _, provider := range shown.Providers {
		name := fmt.Sprint(provider["name"])
		if claims[name] == nil {
			continue
		}
		provider["issuer"], provider["ca"] = j.URL+"/"+name, j.ca
		providers = append(providers, provider)
	}
	if len(providers) != len(claims) {
		j.t.Fatalf("docs/access.md shows %d of the providers", len(providers))
	}
	config["providers"] = providers
	data, err := yaml.Marshal(config)
	if err == nil {
		err = os.WriteFile(j.config, data, 0o644)
	}
	if err != nil {
		j.t.Fatal(err)
	}
}

// token is that of a job, for five minutes.
func (j *jobTokens) token(system, audience string) string {
	j.t.Helper()
	body := map[string]any{"iss": j.URL + "/" + system, "aud": audience, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
	for name, value := range claims[system] {
		body[name] = value
	}
	payload, err := json.Marshal(body)
	if err != nil {
		j.t.Error(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: j.key}, nil)
	if err != nil {
		j.t.Error(err)
		return ""
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		j.t.Error(err)
		return ""
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		j.t.Error(err)
	}
	return token
}

func (j *jobTokens) answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		j.t.Error(err)
	}
}
