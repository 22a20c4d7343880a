package admission

import (
	"crypto/tls"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// Credentials make a gRPC server take the connections of a Listener, which have shaken hands.
func Credentials(config *tls.Config) credentials.TransportCredentials {
	return shakenCredentials{credentials.NewTLS(config)}
}

type shakenCredentials struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (shakenCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	shaken, ok := conn.(*tls.Conn)
	if !ok {
		return nil, nil, errors.New("not a connection of an admission.Listener")
	}
	state := shaken.ConnectionState()
	if state.NegotiatedProtocol != "h2" {
		return nil, nil, errors.New("the client does not ask for HTTP/2")
	}
	return conn, credentials.TLSInfo{
		State: state, CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}
