package login

// Path is where a hub says, to whoever asks, by which identity providers people can sign in: an [Announcement] in JSON.
const Path = "/.well-known/yardarm"

// Announcement is what a hub says there.
type Announcement struct {
	Providers []Provider `json:"providers"`
	// Pages are those by which they sign in to the hub's pages, which the hub does for them.
	Pages []string `json:"pages,omitempty"`
}

// Provider is an identity provider, and the hub's public client there.
type Provider struct {
	Name     string   `json:"name"`
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"clientID"`
	Scopes   []string `json:"scopes,omitempty"`
	// CA is the certificates to know the issuer by, in PEM; the system's roots when empty.
	CA string `json:"ca,omitempty"`
}
