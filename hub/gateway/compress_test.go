package gateway_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/yardarm-dev/yardarm/hub/api/apitest"
)

// patience is how long an answer may take: a line that is held back never comes.
const patience = 30 * time.Second

// ask makes a call that says itself what it takes, so that nothing is decoded on its way.
func ask(t *testing.T, h *apitest.Hub, path, takes string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r := request(t, h, "GET", path, nil).WithContext(ctx)
	r.Header.Set("Accept-Encoding", takes)
	resp, err := h.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// Whoever takes gzip gets large answers as that, and the same ones.
func TestCompression(t *testing.T) {
	h := apitest.Start(t)
	for i := range 40 {
		h.Enrolled(t, fmt.Sprintf("cluster-%02d", i), map[string]string{"env": "prod"})
	}
	plain, err := io.ReadAll(ask(t, h, "/v1/clusters", "identity").Body)
	if err != nil {
		t.Fatal(err)
	}
	for takes, want := range map[string]string{
		"gzip": "gzip", "br, gzip;q=0.5": "gzip", "gzip; q=0": "", "br, gzip;q=0.0": "", "deflate": "", "x-gzip": "", "*": "",
	} {
		resp := ask(t, h, "/v1/clusters", takes)
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%q is answered in %q", takes, got)
		}
		if want == "gzip" {
			if len(body) > len(plain)/4 {
				t.Errorf("%d of %d bytes", len(body), len(plain))
			}
			body = unzip(t, body)
		}
		if !bytes.Equal(body, plain) {
			t.Errorf("%q is answered %s", takes, body)
		}
	}
	// What is small, and what has a version as its tag, goes out as it is; so does a refusal, with its status.
	for path, status := range map[string]int{"/v1/cani?verb=get&resource=hub": 200, "/v1/clusters/cluster-07": 200, "/v1/clusters/nobody": 404} {
		if resp := ask(t, h, path, "gzip"); resp.StatusCode != status || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: status %d, in %q", path, resp.StatusCode, resp.Header.Get("Content-Encoding"))
		}
	}
}

// A stream says that it is open before it has anything to say, and each line is there once it is said.
func TestCompressedStream(t *testing.T) {
	h := apitest.Start(t)
	if resp := ask(t, h, "/v1/events?follow=true&filter=reason=Never", "gzip"); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d of a stream that has nothing to say", resp.StatusCode)
	}
	resp := ask(t, h, "/v1/watch/ClusterGroup", "gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("header %v", resp.Header)
	}
	unzipped, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(unzipped)
	for _, word := range []string{"BOOKMARK", "ADDED"} {
		line, err := said.ReadBytes('\n')
		if err != nil || !bytes.Contains(line, []byte(word)) {
			t.Fatalf("line %s, %v", line, err)
		}
		if word == "BOOKMARK" {
			call(t, h, "POST", "/v1/apply", `{"resources": [`+groupJSON+`]}`, 200)
		}
	}
}

func unzip(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
