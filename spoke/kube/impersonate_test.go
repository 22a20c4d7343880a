package kube

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Requests as many service accounts go over one connection, each with its own user, and with no groups.
func TestServiceAccountsShareAConnection(t *testing.T) {
	var connections atomic.Int64
	users := make(chan http.Header, 20)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		users <- r.Header
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"}}`)
	}))
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	k, err := New(Config{REST: &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(server)}}})
	if err != nil {
		t.Fatal(err)
	}
	get := func(k *Client) http.Header {
		t.Helper()
		if _, err := k.Dynamic.Resource(secrets).Namespace("a").Get(t.Context(), "x", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		return <-users
	}
	for i := range 10 {
		as, err := k.As("team", fmt.Sprintf("deployer-%d", i))
		if err != nil {
			t.Fatal(err)
		}
		header := get(as)
		if user := header.Get("Impersonate-User"); user != fmt.Sprintf("system:serviceaccount:team:deployer-%d", i) {
			t.Errorf("user %q", user)
		}
		if groups := header.Values("Impersonate-Group"); len(groups) > 0 {
			t.Errorf("groups %q", groups)
		}
		if as.Mapper != k.Mapper {
			t.Error("kinds are not shared")
		}
	}
	if user := get(k).Get("Impersonate-User"); user != "" {
		t.Errorf("the spoke itself is %q", user)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func pemOf(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
