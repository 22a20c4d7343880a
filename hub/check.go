package hub

import "net"

// Check reads the files that the configuration names, and answers what Run would fail for. It opens nothing that a running hub has open.
func (h *Hub) Check() error {
	c := h.config
	for _, address := range []string{c.Listen, c.SpokeListen, c.MetricsListen} {
		if _, err := net.ResolveTCPAddr("tcp", address); address != "" && err != nil {
			return err
		}
	}
	if _, err := h.traces(nil); err != nil {
		return err
	}
	_, err := h.files()
	return err
}
