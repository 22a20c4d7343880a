package stream

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
	yardarmv1 "github.com/yardarm-dev/yardarm/proto/yardarm/v1"
)

// FuzzSpokeMessages says anything to a real hub, over the wire, after a good Hello or instead of one. Whatever comes, the hub
// goes on serving others.
func FuzzSpokeMessages(f *testing.F) {
	for _, m := range []*spokev1.ConnectRequest{
		{},
		{Message: &spokev1.ConnectRequest_Hello{Hello: &spokev1.Hello{Protocol: 1, Cursor: &spokev1.Cursor{}}}},
		{Message: &spokev1.ConnectRequest_Ack{Ack: &spokev1.Ack{Cursor: &spokev1.Cursor{Index: 1}, Digests: []string{"", "x"}}}},
		{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{Code: 99}}},
		{Message: &spokev1.ConnectRequest_Nack{Nack: &spokev1.Nack{BundleUid: uid("web"), Digest: "x"}}},
		{Message: &spokev1.ConnectRequest_Holdings{Holdings: &spokev1.Holdings{Holdings: []*spokev1.Holding{{BundleUid: uid("web"), Held: true}, {BundleUid: "unknown", Removing: true}}}}},
		{Message: &spokev1.ConnectRequest_Reports{Reports: &spokev1.ReportUpdate{Complete: true, Reports: []*yardarmv1.Report{{BundleUid: uid("web"), Phase: yardarmv1.PhaseReady}}}}},
		{Message: &spokev1.ConnectRequest_Facts{Facts: &yardarmv1.Facts{Nodes: 1, Capacity: map[string]string{"cpu": "1"}}}},
		{Message: &spokev1.ConnectRequest_Trial{Trial: &spokev1.TrialAnswer{Id: "x", Result: &yardarmv1.TrialResult{Created: 1, Objects: []*yardarmv1.TriedObject{{Fields: []*yardarmv1.TriedField{{}}}}}}}},
	} {
		data, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(true, data)
		f.Add(false, data)
	}
	h := newHub(f, nil)
	h.group("prod", prod, "facts.nodes < 100")
	h.publish("web", text(500, "1"), "prod")
	hostile, good := enrol(f, h, "hostile", prod), enrol(f, h, "good", prod)
	client := spokev1.NewSpokeServiceClient(hostile.conn(f, h.address))
	witness := connect(f, h, good)
	witness.greet(good, nil)
	f.Fuzz(func(t *testing.T, greet bool, data []byte) {
		m := &spokev1.ConnectRequest{}
		if proto.Unmarshal(data, m) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		stream, err := client.Connect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if greet {
			_ = stream.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Hello{Hello: &spokev1.Hello{Protocol: 1, KubeUid: hostile.kube}}})
		}
		for range 3 {
			_ = stream.Send(m)
		}
		_ = stream.CloseSend()
		for err == nil {
			_, err = stream.Recv()
		}
		if ctx.Err() != nil {
			t.Fatal("the stream does not end")
		}
		if err := witness.stream.Send(&spokev1.ConnectRequest{Message: &spokev1.ConnectRequest_Heartbeat{Heartbeat: &spokev1.Heartbeat{}}}); err != nil {
			t.Fatalf("another cluster's stream: %v", err)
		}
		select {
		case err := <-witness.ended:
			t.Fatalf("another cluster's stream has ended: %v", err)
		default:
		}
		if h.store.Read().Cluster(uid("good")) == nil || h.store.ReadOnly() != "" {
			t.Fatalf("read-only %q", h.store.ReadOnly())
		}
	})
}
