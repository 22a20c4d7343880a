package main

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	hubv1 "github.com/yardarm-dev/yardarm/proto/yardarm/hub/v1"
	spokev1 "github.com/yardarm-dev/yardarm/proto/yardarm/spoke/v1"
)

// TestHealth asks a hub as load balancers and probes do, who have no credential.
func TestHealth(t *testing.T) {
	dir, ip := t.TempDir(), address(4)
	files := issue(t, dir, "hub.example.com", ip)
	serve(t, ip, "run", "--data-dir", filepath.Join(dir, "hub"), "--address", ip, "--tls-cert", files.cert, "--tls-key", files.key, "--log-level", "error")
	anyTLS := &tls.Config{InsecureSkipVerify: true}

	transport := &http.Transport{TLSClientConfig: anyTLS}
	defer transport.CloseIdleConnections()
	const all = "[+]store ok\n[+]disk ok\n[+]ca ok\n[+]tls-cert ok\n[+]api-certificate ok\nready\n"
	for url, want := range map[string]string{
		"http://" + ip + ":7445/readyz": "ok\n", "https://" + ip + ":7443/readyz": "ok\n",
		"http://" + ip + ":7445/readyz?verbose": all, "https://" + ip + ":7443/readyz?verbose": all,
	} {
		resp, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || string(text) != want {
			t.Errorf("%s: %s %q, %v", url, resp.Status, text, err)
		}
	}

	for port, service := range map[string]string{":7443": hubv1.FleetService_ServiceDesc.ServiceName, ":7444": spokev1.SpokeService_ServiceDesc.ServiceName} {
		conn, err := grpc.NewClient(ip+port, grpc.WithTransportCredentials(credentials.NewTLS(anyTLS)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ask := func(ctx context.Context, service string) (healthv1.HealthCheckResponse_ServingStatus, error) {
			answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: service})
			return answer.GetStatus(), err
		}
		for _, name := range []string{"", service} {
			if got, err := ask(t.Context(), name); err != nil || got != healthv1.HealthCheckResponse_SERVING {
				t.Errorf("%s: %q is %v, %v", port, name, got, err)
			}
		}
		if _, err := ask(t.Context(), "other"); status.Code(err) != codes.NotFound {
			t.Errorf("%s: another service: %v", port, err)
		}
	}
}
