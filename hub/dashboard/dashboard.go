// Package dashboard is the hub's web UI: its sources (src), and what `make build` makes of them (dist), embedded and served by a handler that
// hub/gateway puts behind the API. It holds no logic of the hub: the pages are a client of FleetService over REST, like any other.
//
// A program that was built by the go command alone has no pages, and says how to get them.
package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// dist is empty, but for its .gitignore, where the pages have not been built.
//
//go:embed all:dist
var dist embed.FS

// policy lets a page load its own scripts, styles and images, and call the hub; nothing inline, and nothing of anybody else's.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// missing is what a program without pages answers.
const missing = "This hub was built without its pages. They need Node.js 20.19 or newer: `make build` builds them and the hub around them.\n" +
	"All that they show is in the API (/openapi.json) and in the command line (yardarm --help), too.\n"

// assets is the folder of files whose names change with their content.
const assets = "assets/"

// Handler serves the pages: a file that was built under its path, and the one page there is under every other, which reads the path itself.
func Handler() http.Handler { return newHandler(sub(dist)) }

func sub(files embed.FS) fs.FS {
	out, err := fs.Sub(files, "dist")
	if err != nil {
		panic(err) // the folder's name is a constant
	}
	return out
}

// file is one file, in the encodings that it was built in.
type file struct {
	kind, tag string
	plain     []byte
	// encoded are by the name that Accept-Encoding has for them.
	encoded map[string][]byte
}

// encodings are what vite.config.ts compresses files with, the best first, and the endings that it gives them.
var encodings = []struct{ name, ending string }{{"br", ".br"}, {"gzip", ".gz"}}

func newHandler(files fs.FS) http.Handler {
	all := read(files)
	index := all["index.html"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		f, cache := all[name], "public, max-age=31536000, immutable" // a year, as the names change
		switch {
		case index == nil:
			http.Error(w, missing, http.StatusNotFound)
			return
		case f == nil && strings.HasPrefix(name, assets):
			http.Error(w, "There is no such file; the hub may have been updated: reload the page.", http.StatusNotFound)
			return
		case f == nil || f == index:
			f, cache = index, "no-cache"
		}
		w.Header().Set("Cache-Control", cache)
		f.serve(w, r)
	})
}

// read takes all files into memory, where the program has them anyway.
func read(files fs.FS) map[string]*file {
	all := map[string]*file{}
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == ".gitignore" || strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz") {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		f := &file{kind: mime.TypeByExtension(path.Ext(name)), tag: `"` + hex.EncodeToString(sum[:16]) + `"`, plain: content, encoded: map[string][]byte{}}
		for _, e := range encodings {
			if content, err := fs.ReadFile(files, name+e.ending); err == nil {
				f.encoded[e.name] = content
			}
		}
		all[name] = f
		return nil
	})
	return all
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	body, tag := f.plain, f.tag
	for _, e := range encodings {
		if content, ok := f.encoded[e.name]; ok && accepts(r, e.name) {
			w.Header().Set("Content-Encoding", e.name)
			// Other bytes need another strong tag.
			body, tag = content, strings.TrimSuffix(f.tag, `"`)+"-"+e.name+`"`
			break
		}
	}
	w.Header().Set("Vary", "Accept-Encoding")
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.Header().Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// accepts tells whether a client takes an encoding. Browsers send no weights; one that refuses it by weight 0 is heard all the same.
func accepts(r *http.Request, encoding string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) == encoding {
			return strings.ReplaceAll(weight, " ", "") != "q=0"
		}
	}
	return false
}
