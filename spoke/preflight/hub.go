package preflight

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/yardarm-dev/yardarm/pkg/certs"
)

// hub looks at the way to one address, step by step, and ends at the first that does not lead on.
func (l *look) hub(ctx context.Context, address string) {
	host, port, err := net.SplitHostPort(address)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" {
		l.grave(address, "it is not HOST:PORT", "give the address as yardarm enroll prints it, without https://")
		return
	}
	proxy, err := l.Proxy(&url.URL{Scheme: "https", Host: address})
	if err != nil {
		l.grave(address+": proxy", err.Error(), "mend HTTPS_PROXY: it is http://HOST:PORT, with USER:PASSWORD@ before the host if need be")
		return
	}
	next := host
	if proxy != nil {
		next = proxy.Hostname()
		l.fine(address+": proxy", "by %s (HTTPS_PROXY; NO_PROXY takes addresses out)", proxy.Host)
	}
	if !l.name(ctx, address, next) {
		return
	}
	connection, ok := l.reach(ctx, address, proxy)
	if !ok {
		return
	}
	defer connection.Close()
	l.tls(ctx, address, host, connection)
}

// name looks a host up that is dialled directly: the hub's, or the proxy's, which then looks up the hub's.
func (l *look) name(ctx context.Context, address, host string) bool {
	if net.ParseIP(host) != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		l.grave(address+": name", err.Error(), "make "+host+" known to the name servers that this machine or cluster asks, or to hostAliases of the chart")
		return false
	}
	l.fine(address+": name", "%s is %s", host, strings.Join(addresses, ", "))
	return true
}

// reach opens a connection, through the proxy if there is one.
func (l *look) reach(ctx context.Context, address string, proxy *url.URL) (net.Conn, bool) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	what := address + ": connection"
	first := address
	if proxy != nil {
		first = proxy.Host
		if proxy.Port() == "" {
			first = net.JoinHostPort(proxy.Hostname(), "80")
		}
	}
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", first)
	if err != nil {
		advice := "let this machine, or the pods of this cluster, dial " + first + " (TCP, outbound): a firewall, a network policy or a route is in the way, or nothing listens there"
		l.grave(what, err.Error(), advice)
		return nil, false
	}
	if proxy == nil {
		l.fine(what, "it is reached")
		return connection, true
	}
	if err := connect(ctx, connection, address, proxy); err != nil {
		connection.Close()
		l.grave(what, "the proxy "+err.Error(), "let the proxy pass CONNECT to "+address+", or take the hub out of it with NO_PROXY")
		return nil, false
	}
	l.fine(what, "it is reached by the proxy")
	return connection, true
}

// connect asks a proxy for a way to an address.
func connect(ctx context.Context, connection net.Conn, address string, proxy *url.URL) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := connection.SetDeadline(deadline); err != nil {
			return err
		}
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if proxy.User != nil {
		password, _ := proxy.User.Password() // without one it is empty, as gRPC sends it
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password)))
	}
	if err := request.Write(connection); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), request)
	if err != nil {
		return fmt.Errorf("does not answer as one: %w", err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New("answers " + response.Status)
	}
	return connection.SetDeadline(time.Time{})
}

// tls looks at who answers. Nothing of it is trusted: the token's pin judges.
func (l *look) tls(ctx context.Context, address, host string, connection net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	what := address + ": TLS"
	client := tls.Client(connection, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, ServerName: host, InsecureSkipVerify: true})
	if err := client.HandshakeContext(ctx); err != nil {
		l.grave(what, err.Error(), "what answers speaks no TLS 1.3, or something on the way ends the connection: dial the hub's port for spokes, and let TLS pass untouched")
		return
	}
	state := client.ConnectionState()
	leaf := state.PeerCertificates[0]
	shown := fmt.Sprintf("a certificate for %q by %q", leaf.Subject.CommonName, leaf.Issuer.CommonName)
	if l.pin == nil {
		l.notice(what, shown, "without an enrolment token nobody can tell whether that is your hub: give one in YARDARM_TOKEN")
		return
	}
	_, err := certs.VerifyPinned(*l.pin, host, l.Clock(), state.PeerCertificates)
	switch invalid, hostname := (x509.CertificateInvalidError{}), (x509.HostnameError{}); {
	case err == nil && state.NegotiatedProtocol != "h2":
		l.grave(what, "the hub answers, and without HTTP/2", "something on the way changes TLS (ALPN): let it pass untouched")
	case err == nil:
		l.fine(what, "the hub that made the token answers")
	case errors.Is(err, certs.ErrPin):
		l.grave(what, shown+", which is not of the hub that made the token", "TLS is intercepted on the way: let it pass untouched for "+address+
			". Or the address is that of something else, or the token is another hub's")
	case errors.As(err, &hostname):
		l.grave(what, err.Error(), "dial the hub by a name in its certificate, or start it with --address "+host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		l.grave(what, err.Error(), "set the clocks of this machine and of the hub right: here it is "+l.Clock().UTC().Format(time.RFC3339))
	default:
		l.grave(what, err.Error(), "look at the hub's log")
	}
}
