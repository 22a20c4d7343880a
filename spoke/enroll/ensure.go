package enroll

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/yardarm-dev/yardarm/pkg/backoff"
	"github.com/yardarm-dev/yardarm/pkg/certs"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

const (
	// callTimeout bounds one call, dialling included: slow links and proxies fit, and the 20 s for which a hub may have a connection wait for its turn.
	callTimeout = 35 * time.Second
	// startTimeout bounds what a spoke that has an identity tries at its start, since it has work to do without the hub.
	startTimeout = 10 * time.Second
	// enrolBase and enrolMax bound the wait between attempts to enrol: somebody is watching.
	enrolBase = time.Second
	enrolMax  = 15 * time.Second
)

// Ensure makes this process the spoke, and returns once it has an identity.
//
// With an identity kept, that does not depend on the hub: a certificate that has expired, or a new token, gets one attempt, and Run goes on. Without one,
// Ensure enrols, and tries for as long as no hub answers, until ctx ends. It returns [ErrClaimed], [ErrNoToken], [ErrBadToken], [ErrOtherHub] or
// [ErrRefused] where only a person can help, and what the Keep says where it fails.
func (i *Identity) Ensure(ctx context.Context) error {
	if err := i.config.Keep.Claim(ctx, i.config.Instance); err != nil {
		return err
	}
	kept, err := i.config.Keep.Load(ctx)
	if err != nil {
		return err
	}
	if kept == nil {
		kept = &Kept{}
	}
	if kept.Identity == nil {
		return i.first(ctx, kept)
	}
	if err := i.take(kept, time.Time{}); err != nil {
		return fmt.Errorf("the identity in %s is damaged: %w; remove it, delete the cluster at the hub, and enrol it anew", i.config.Keep, err)
	}
	if len(i.Addresses()) == 0 {
		return errors.New("no hub address is kept and none is configured")
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	name, _ := i.Cluster()
	if switched, err := i.another(ctx, kept); err != nil {
		if errors.Is(err, ErrClaimed) {
			return err
		}
		i.log.Error("the new enrolment token was not used; the spoke goes on as the cluster that it is", "cluster", name, "error", err)
	} else if switched {
		return nil
	}
	if i.now().After(i.Expiry()) {
		if err := i.renew(ctx); errors.Is(err, ErrClaimed) {
			return err
		} else if err != nil {
			i.log.Warn("the certificate has expired and was not renewed; it is tried again", "cluster", name, "expired", i.Expiry(), "error", err)
		}
	}
	return nil
}

// first enrols a spoke that has no identity.
func (i *Identity) first(ctx context.Context, kept *Kept) error {
	if i.config.Token == "" {
		return fmt.Errorf("%w (nothing is kept in %s): get one with \"yardarm enroll NAME\" at the hub", ErrNoToken, i.config.Keep)
	}
	token, err := certs.ParseToken(i.config.Token)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	if len(i.config.HubAddresses) == 0 {
		return errors.New("no hub address is configured: \"yardarm enroll NAME\" prints it beside the token")
	}
	wait := backoff.Backoff{Base: enrolBase, Max: enrolMax}
	for {
		err := i.enrol(ctx, kept, token)
		if err == nil || final(err) || errors.Is(err, errKeep) {
			return err
		}
		if ended(ctx) {
			return fmt.Errorf("enrol: %w (given up: %w)", err, context.Cause(ctx))
		}
		delay := wait.Next()
		i.log.Warn("enrolment failed; it is tried again", "hub", strings.Join(i.config.HubAddresses, ","), "error", err, "retry_in", delay.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return fmt.Errorf("enrol: %w (given up: %w)", err, context.Cause(ctx))
		case <-time.After(delay):
		}
	}
}

// another enrols a spoke that has an identity with a token that it has not used yet, once. The hub takes it only if it has deleted the cluster of before,
// or if it is another hub. Until it has, the spoke stays who it is.
func (i *Identity) another(ctx context.Context, kept *Kept) (switched bool, err error) {
	if i.config.Token == "" || len(i.config.HubAddresses) == 0 {
		return false, nil
	}
	token, err := certs.ParseToken(i.config.Token)
	if err != nil {
		return false, err
	}
	if token.ID == kept.TokenID {
		return false, nil
	}
	attempt := *kept
	return true, i.enrol(ctx, &attempt, token)
}

// errKeep marks that the failure is the Keep's.
var errKeep = errors.New("keep")

// keepError hides the mark from the message.
type keepError struct{ error }

func (e keepError) Is(target error) bool { return target == errKeep }
func (e keepError) Unwrap() error        { return e.error }

// enrol makes one attempt at all addresses. The key is kept before the first one.
func (i *Identity) enrol(ctx context.Context, kept *Kept, token certs.Token) error {
	key, err := i.attemptKey(ctx, kept, token)
	if err != nil {
		return err
	}
	csr, err := request(key)
	if err != nil {
		return err
	}
	var failures []error
	for _, address := range i.config.HubAddresses {
		identity, err := i.callEnroll(ctx, address, token, csr)
		if err != nil {
			failures = append(failures, err)
			if errors.Is(err, ErrRefused) {
				break
			}
			continue
		}
		enrolled, current, err := identityOf(identity, key)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if len(identity.GetHubAddresses()) == 0 {
			identity.HubAddresses = []string{address}
		}
		enrolled.TokenID = token.ID
		if err := i.config.Keep.Save(ctx, enrolled); err != nil {
			return keepError{err}
		}
		current.received = i.now()
		i.writing.Lock()
		i.current.Store(current)
		i.writing.Unlock()
		i.tellChanged()
		i.log.Info("enrolled", "cluster", identity.GetCluster(), "hub", address, "expires", current.certificate.Leaf.NotAfter)
		return nil
	}
	// One address that may answer later is reason enough to try again.
	for _, err := range failures {
		if !final(err) {
			return err
		}
	}
	return failures[len(failures)-1]
}

// attemptKey returns the key of the attempt that is under way with this token, or makes one and keeps it.
func (i *Identity) attemptKey(ctx context.Context, kept *Kept, token certs.Token) (crypto.Signer, error) {
	if kept.Attempt != nil && kept.Attempt.TokenID == token.ID {
		key, err := certs.ParseKey(kept.Attempt.Key)
		if err != nil {
			return nil, keepError{fmt.Errorf("the key in %s is damaged: %w; remove it and enrol anew", i.config.Keep, err)}
		}
		return key, nil
	}
	key, err := certs.NewKey()
	if err != nil {
		return nil, err
	}
	text, err := certs.EncodeKey(key)
	if err != nil {
		return nil, err
	}
	next := *kept
	next.Attempt = &Attempt{TokenID: token.ID, Key: text}
	if err := i.config.Keep.Save(ctx, &next); err != nil {
		return nil, keepError{err}
	}
	*kept = next
	if before := i.current.Load(); before != nil {
		after := *before
		after.kept = &next
		i.current.Store(&after)
	}
	return key, nil
}

// callEnroll asks one hub, which has to show the CA that the token pins.
func (i *Identity) callEnroll(ctx context.Context, address string, token certs.Token, csr []byte) (*spokev1.Identity, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var met meeting
	connection, err := i.dial(address, &tls.Config{
		MinVersion: tls.VersionTLS13,
		Time:       i.now,
		// The pin takes the place of the roots; VerifyConnection checks all that is skipped here.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := certs.VerifyPinned(token.Pin, host, i.now(), state.PeerCertificates)
			met.note(state.PeerCertificates, err)
			return err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := spokev1.NewSpokeServiceClient(connection).Enroll(ctx, &spokev1.EnrollRequest{
		Token:        token.Text(),
		Csr:          csr,
		KubeUid:      i.config.KubeUID,
		SpokeVersion: i.config.Version,
	})
	if err != nil {
		if wrong := met.explain(address, host); wrong != nil {
			return nil, wrong
		}
		return nil, explain(address, err)
	}
	return response.GetIdentity(), nil
}

// meeting is what the newest handshake with a hub came to. gRPC hands on only the text of an error of a handshake.
type meeting struct {
	mu    sync.Mutex
	chain []*x509.Certificate
	err   error
}

func (m *meeting) note(chain []*x509.Certificate, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chain, m.err = chain, err
}

// explain returns nil if there was no handshake, or nothing was wrong with it.
func (m *meeting) explain(address, host string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		return nil
	}
	leaf := m.chain[0]
	if errors.Is(m.err, certs.ErrPin) {
		return fmt.Errorf("%w: what answers at %s shows a certificate for %q by %q. Either TLS is intercepted on the way (let it through for this address), "+
			"or the address is that of something else, or the token was made by another hub", ErrOtherHub, address, leaf.Subject.CommonName, leaf.Issuer.CommonName)
	}
	if _, ok := errors.AsType[x509.HostnameError](m.err); ok {
		names := append([]string(nil), leaf.DNSNames...)
		for _, ip := range leaf.IPAddresses {
			names = append(names, ip.String())
		}
		return fmt.Errorf("%w: the hub's certificate is not for %q but for %s: dial it by one of these, or tell the hub to have its certificate for %q too",
			ErrRefused, host, strings.Join(names, ", "), host)
	}
	// Such as the time: it may be set right meanwhile.
	return fmt.Errorf("the hub's certificate at %s is not valid here (do the clocks agree?): %w", address, m.err)
}

// dial prepares a connection; gRPC dials with the first call, through a proxy if the environment says so.
func (i *Identity) dial(address string, config *tls.Config) (*grpc.ClientConn, error) {
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithUserAgent("yardarm-spoke/" + i.config.Version),
		// Attempts are counted here, with a wait of their own.
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
	}, i.config.DialOptions...)
	connection, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return connection, nil
}
