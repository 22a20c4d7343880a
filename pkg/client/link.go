package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// linkTimeout bounds the one call that makes a link.
	linkTimeout = 15 * time.Second
	// maxLink bounds its answer, in bytes.
	maxLink = 16 << 10
)

// SignInLink asks the hub for a URL that signs a browser in to its pages as who the configuration's token is: once, and within two minutes.
func SignInLink(ctx context.Context, cfg Config) (string, error) {
	token := cfg.Token
	if cfg.Renewed != nil {
		var err error
		if token, err = cfg.Renewed(ctx); err != nil {
			return "", err
		}
	}
	if token == "" {
		return "", errors.New("a browser is signed in by a token, and this context has none")
	}
	hub := "https://" + strings.TrimPrefix(cfg.Server, "https://")
	ctx, cancel := context.WithTimeout(ctx, linkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hub+"/session/link", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = cfg.TLS
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return "", fmt.Errorf("ask the hub for a link: %w", err)
	}
	defer resp.Body.Close()
	var answer struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxLink)).Decode(&answer)
	switch {
	case resp.StatusCode != http.StatusOK && answer.Message != "":
		return "", fmt.Errorf("ask the hub for a link: %s", answer.Message)
	case resp.StatusCode != http.StatusOK || err != nil || answer.Code == "":
		return "", fmt.Errorf("ask the hub for a link: it answers %s; it may be older than this program", resp.Status)
	}
	return hub + "/#code=" + answer.Code, nil
}
