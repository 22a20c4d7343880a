package hub

import (
	"crypto/tls"
	"net"

	"github.com/yardarm-dev/yardarm/hub/gateway"
)

// Check reads the files that the configuration names, and answers what Run would fail for. It opens nothing that a running hub has open.
func (h *Hub) Check() error {
	c := h.config
	for _, address := range []string{c.Listen, c.SpokeListen, c.MetricsListen} {
		if _, err := net.ResolveTCPAddr("tcp", address); address != "" && err != nil {
			return err
		}
	}
	if _, err := h.users(); err != nil {
		return err
	}
	if c.TLSCert != "" {
		if _, err := gateway.OpenCertificate(c.TLSCert, c.TLSKey, c.Logger); err != nil {
			return err
		}
	}
	return h.clientCA(&tls.Config{})
}
