package ca

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// SpokeTLS returns the configuration of the listener for spokes: TLS 1.3 only. A client certificate is asked for and not required, since Enroll comes
// without one. One that is shown has to be of this fleet and this CA, also on a resumed session; one that expired at most
// [certs.RenewalWindow] ago is let in, to renew, and one that is not valid yet to be told so: an alert names no reason. What a caller may do is for [CA.ClusterFromState] and [CA.Authorize] to say, at each call.
//
// Sessions resume across restarts of the hub: the ticket keys are in the store.
func (c *CA) SpokeTLS(hosts []string) (*tls.Config, error) {
	certificate, err := c.ServerCertificate(hosts)
	if err != nil {
		return nil, err
	}
	base := &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2"},
		Time:       c.now,
		// Not VerifyClientCertIfGiven: crypto/tls would refuse an expired one before anybody could say that it may renew.
		ClientAuth: tls.RequestClientCert,
		// No ClientCAs: with this ClientAuth they are only a hint for the client which certificate to show, and it has one.
		GetCertificate: certificate.GetCertificate,
		VerifyConnection: func(state tls.ConnectionState) error {
			if _, err := c.ClusterFromState(state); err != nil && !errors.Is(err, ErrNoCertificate) && !errors.Is(err, ErrNotYetValid) {
				return fmt.Errorf("%w: %w", certs.ErrRefused, err)
			}
			return nil
		},
	}
	outer := base.Clone()
	var current atomic.Pointer[keyed]
	outer.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		keys := c.tickets.Load()
		if k := current.Load(); k != nil && k.keys == keys {
			return k.config, nil
		}
		config := base.Clone()
		config.SetSessionTicketKeys(keys.keys)
		current.Store(&keyed{keys, config})
		return config, nil
	}
	return outer, nil
}

// keyed is a configuration with ticket keys, which change under a listener that is up. Connections share it, since each keeps its own for
// as long as it lives.
type keyed struct {
	keys   *ticketKeys
	config *tls.Config
}

// ClusterUID answers the uid of the cluster that a connection which has shaken hands by SpokeTLS is of; empty without a certificate.
func ClusterUID(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	_, uid, err := certs.ClusterOf(state.PeerCertificates[0])
	if err != nil {
		return ""
	}
	return uid
}

// Peer is who a caller's certificate says it is. Whether it is welcome is for [CA.Authorize] to say.
type Peer struct {
	// UID of the cluster.
	UID string
	// KeyHash is the SHA-256 of the certificate's key, as in the identity row.
	KeyHash []byte
	// NotAfter is the certificate's end, and Expired whether it had passed when the peer was made.
	NotAfter time.Time
	Expired  bool
}

// ClusterFromState verifies the certificate that a caller has shown and answers who it is. Without one, that is [ErrNoCertificate];
// one that does not serve is [ErrOtherFleet], [ErrOtherCA], [ErrNotYetValid], [ErrExpiredLongAgo] or certs.ErrNotCluster. The state is one of SpokeTLS:
// that of a resumed session is believed that its certificate was verified before.
func (c *CA) ClusterFromState(state tls.ConnectionState) (Peer, error) {
	if len(state.PeerCertificates) == 0 {
		return Peer{}, ErrNoCertificate
	}
	leaf := state.PeerCertificates[0]
	fleet, uid, err := certs.ClusterOf(leaf)
	if err != nil {
		return Peer{}, err
	}
	if fleet != c.fleet {
		return Peer{}, fmt.Errorf("%w: it is of fleet %s, and this hub is that of fleet %s", ErrOtherFleet, fleet, c.fleet)
	}
	now := c.now()
	peer := Peer{UID: uid, NotAfter: leaf.NotAfter, Expired: now.After(leaf.NotAfter)}
	early := now.Before(leaf.NotBefore)
	at := now
	switch {
	case peer.Expired:
		at = leaf.NotAfter
	case early:
		at = leaf.NotBefore
	}
	if err := c.roots.Load().judge(leaf, at, state.DidResume); err != nil {
		return Peer{}, fmt.Errorf("%w (it says to be cluster %s): %w", ErrOtherCA, uid, err)
	}
	if early {
		return Peer{}, fmt.Errorf("%w (cluster %s: from %s, and by the hub's clock it is %s)",
			ErrNotYetValid, uid, leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if now.Sub(leaf.NotAfter) > certs.RenewalWindow {
		return Peer{}, fmt.Errorf("%w (cluster %s: on %s)", ErrExpiredLongAgo, uid, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	if peer.KeyHash, err = certs.KeyHash(leaf.PublicKey); err != nil {
		return Peer{}, err
	}
	return peer, nil
}
