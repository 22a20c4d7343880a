package api

import (
	"context"
	"encoding/hex"
	"fmt"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// GetHub implements FleetService.
func (s *Server) GetHub(context.Context, *hubv1.GetHubRequest) (*hubv1.Hub, error) {
	tx := s.store.Read()
	hub := &hubv1.Hub{
		Version:        s.cfg.Version,
		Fleet:          s.store.Meta().GetFleet(),
		Cursor:         cursorText(s.store.Epoch(), tx.Index()),
		SpokeAddresses: s.cfg.SpokeAddresses,
		CaPin:          s.cfg.Enroller.Pin(),
		ReadOnly:       s.store.ReadOnly(),
		Started:        stamp(s.started),
	}
	for p := range tx.Presences() {
		if p.State == yardarmv1.PresenceConnected {
			hub.Sessions++
		}
	}
	return hub, nil
}

// cursorText shows four of the epoch's random bytes: enough to tell two apart.
func cursorText(epoch []byte, index uint64) string {
	if len(epoch) > 8 {
		epoch = epoch[8:min(len(epoch), 12)]
	}
	return fmt.Sprintf("%s/%d", hex.EncodeToString(epoch), index)
}
