package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"io"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// certificatesFile is where Go looks for root certificates.
const certificatesFile = "etc/ssl/certs/ca-certificates.crt"

// file is a file of an image. All belong to root and none can be written, so that nothing in an image can change itself.
type file struct {
	name    string
	mode    int64
	content []byte
}

// layer is a tar of files, which are in folders of their own right.
func layer(files []file, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		kind := byte(tar.TypeReg)
		if f.content == nil {
			kind = tar.TypeDir
		}
		header := &tar.Header{Typeflag: kind, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: at, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// certificates are Mozilla's roots in PEM, as a module of Go's own keeps them: those of the machine that builds would be others on
// the next one. Roots that Mozilla trusts for some names only are left out, since a file cannot say for which.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes everything
		}
	}
	return out.Bytes()
}

// opener answers a reader of bytes, as often as it is asked.
func opener(content []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
}
