package floor

import (
	"net"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func identity(t *testing.T) Identity {
	t.Helper()
	id, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSyncs(t *testing.T) {
	if n, err := Syncs(t.TempDir(), 50*time.Millisecond); err != nil || n <= 0 {
		t.Errorf("got %v a second, %v", n, err)
	}
}

// TestHandshakes: those that are to be resumed are, and the others are not; shake fails otherwise.
func TestHandshakes(t *testing.T) {
	id, l := identity(t), listen(t)
	if err := ServeHandshakes(l, id); err != nil {
		t.Fatal(err)
	}
	full, resumed, err := Handshakes(t.Context(), l.Addr().String(), id, 100)
	if err != nil || full <= 0 || resumed <= 0 {
		t.Errorf("got %v full and %v resumed a second, %v", full, resumed, err)
	}
}

// TestEcho: each stream hears each message once, and answers it.
func TestEcho(t *testing.T) {
	id, l := identity(t), listen(t)
	server, err := ServeEcho(l, id)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	clients, err := DialEcho(l.Addr().String(), id, 99, 30, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Close()
	for deadline := time.Now().Add(10 * time.Second); server.Streams() < 30; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server has %d streams", server.Streams())
		}
	}
	for range 3 {
		began, err := server.Broadcast(t.Context(), 200)
		if err != nil {
			t.Fatal(err)
		}
		came := clients.Take()
		if len(came) != 30 {
			t.Errorf("%d of 30 streams heard it", len(came))
		}
		for _, at := range came {
			if at.Before(began) {
				t.Error("a message came before it was sent")
			}
		}
	}
}

// TestLostStream: a fan-out that does not reach all fails, and the clients know of which streams and why.
func TestLostStream(t *testing.T) {
	id, l := identity(t), listen(t)
	server, err := ServeEcho(l, id)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	clients, err := DialEcho(l.Addr().String(), id, 99, 3, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Close()
	if n, why := clients.Lost(); n != 0 || why != nil {
		t.Errorf("%d streams are lost at first: %v", n, why)
	}
	server.Stop() // every stream with it
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if n, why := clients.Lost(); n == 3 && why != nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d of 3 streams are lost: %v", n, why)
		}
	}
}

// TestBeat: each stream is heard again and again without having been asked.
func TestBeat(t *testing.T) {
	id, l := identity(t), listen(t)
	server, err := ServeEcho(l, id)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	clients, err := DialEcho(l.Addr().String(), id, 99, 10, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer clients.Close()
	clients.Beat(10 * time.Millisecond)
	for deadline := time.Now().Add(10 * time.Second); server.acks.Load() < 100; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d beats were heard", server.acks.Load())
		}
	}
}
