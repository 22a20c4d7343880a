package login

// Path is where a hub says, to whoever asks, by which identity providers people can sign in: an [Announcement] in JSON.
const Path = "/.well-known/yardarm"

// Announcement is what a hub says there.
type Announcement struct {
	Providers []Provider `json:"providers"`
	// Pages are those by which they sign in to the hub's pages, which the hub does for them.
	Pages []string `json:"pages,omitempty"`
}

// Provider is an identity provider, and a client of the hub's there: a public one, unless it has a secret.
type Provider struct {
	Name     string   `json:"name"`
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"clientID"`
	Scopes   []string `json:"scopes,omitempty"`
	// CA is the certificates to know the issuer by, in PEM; the system's roots when empty.
	CA string `json:"ca,omitempty"`
	// Secret is the client's, and SecretInBody says that it is sent with what is asked for (client_secret_post), and not in a header (client_secret_basic). Neither is
	// announced.
	Secret       Secret `json:"-"`
	SecretInBody bool   `json:"-"`
}

// Secret is a text that is shown nowhere.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "(secret)" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "(secret)" }
