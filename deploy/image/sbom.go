package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"runtime/debug"
	"strings"
)

// sbomType is the media type of CycloneDX in JSON, by which tools find it among what refers to an image.
const sbomType = "application/vnd.cyclonedx+json"

// sbom is the part of CycloneDX 1.5 that says what a program is made of.
type sbom struct {
	Format      string          `json:"bomFormat"`
	SpecVersion string          `json:"specVersion"`
	Version     int             `json:"version"`
	Metadata    sbomMetadata    `json:"metadata"`
	Components  []sbomComponent `json:"components"`
}

type sbomMetadata struct {
	Timestamp string        `json:"timestamp"`
	Component sbomComponent `json:"component"`
}

type sbomComponent struct {
	Type    string     `json:"type"`
	Ref     string     `json:"bom-ref"`
	Name    string     `json:"name"`
	Version string     `json:"version"`
	PURL    string     `json:"purl,omitempty"`
	Hashes  []sbomHash `json:"hashes,omitempty"`
}

type sbomHash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

// newSBOM lists what Go says is linked into a program: modules, as they were replaced, and Go's own library. It has no serial number,
// which would be another at every build.
func newSBOM(b build, built binary) ([]byte, error) {
	out := sbom{
		Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Metadata: sbomMetadata{
			Timestamp: built.created().Format("2006-01-02T15:04:05Z"),
			Component: sbomComponent{Type: "application", Ref: b.program, Name: b.program, Version: b.version},
		},
		Components: []sbomComponent{component("stdlib", strings.TrimPrefix(built.info.GoVersion, "go"))},
	}
	for _, m := range built.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component(m.Path, m.Version)
		c.Hashes = hashes(m)
		out.Components = append(out.Components, c)
	}
	return json.MarshalIndent(out, "", "  ")
}

func component(module, version string) sbomComponent {
	purl := "pkg:golang/" + module + "@" + version
	return sbomComponent{Type: "library", Ref: purl, Name: module, Version: version, PURL: purl}
}

// hashes turns a module's sum (h1: and base64) into what CycloneDX takes.
func hashes(m *debug.Module) []sbomHash {
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
	if err != nil || len(sum) == 0 {
		return nil
	}
	return []sbomHash{{Algorithm: "SHA-256", Content: hex.EncodeToString(sum)}}
}
