// Command image builds the images of Yardarm's programs without a container engine; `make images` runs it. Each image is one
// static program from scratch, for every platform, beside the root certificates that a program which calls out needs.
//
//	OUT/<program>/                        an OCI layout: index ─▶ an image per platform, and an SBOM that refers to each
//	OUT/<program>-<os>-<arch>.tar         the same image as docker load and ctr images import take it
//
// The same sources, version and Go give the same digests, wherever and whenever they are built: that is what a digest in a chart is
// worth. It needs go and nothing else, pushes nothing, and is no part of the programs.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// programs are what images are made of, by their packages.
var programs = map[string]string{
	"yardarm":       "./hub/cmd/yardarm",
	"yardarm-hub":   "./hub/cmd/yardarm-hub",
	"yardarm-spoke": "./spoke/cmd/yardarm-spoke",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run does what the arguments say.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	source := flags.String("source", ".", "the repository's `folder`")
	to := flags.String("out", "dist/images", "the `folder` to write to; layouts and archives that are there are replaced")
	repository := flags.String("repository", "yardarm-dev", "what stands before a program's `name` in its image's")
	version := flags.String("version", "devel", "the programs' version, and the images' tag")
	names := flags.String("programs", "yardarm,yardarm-hub,yardarm-spoke", "which `programs`")
	targets := flags.String("platforms", "linux/amd64,linux/arm64", "for which `platforms`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var platforms []platform
	for text := range strings.SplitSeq(*targets, ",") {
		os, arch, ok := strings.Cut(text, "/")
		if !ok {
			return fmt.Errorf("platform %q is not OS/ARCHITECTURE", text)
		}
		platforms = append(platforms, platform{os, arch})
	}
	for name := range strings.SplitSeq(*names, ",") {
		pkg, ok := programs[name]
		if !ok {
			return fmt.Errorf("there is no program %q", name)
		}
		b := build{source: *source, program: name, pkg: pkg, version: *version}
		digest, err := b.image(ctx, *repository, platforms, *to)
		if err != nil {
			return fmt.Errorf("image of %s: %w", name, err)
		}
		fmt.Fprintf(out, "%s/%s:%s@%s  %s\n", *repository, name, *version, digest, filepath.Join(*to, name))
	}
	return nil
}

// image builds a program for all platforms, and writes its layout and archives.
func (b build) image(ctx context.Context, repository string, platforms []platform, out string) (digest string, err error) {
	temp, err := os.MkdirTemp("", "yardarm-image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	var images []image
	for _, p := range platforms {
		binary, err := b.compile(ctx, p, filepath.Join(temp, p.arch))
		if err != nil {
			return "", err
		}
		i, err := newImage(b, p, binary)
		if err != nil {
			return "", err
		}
		images = append(images, i)
	}
	reference := repository + "/" + b.program + ":" + b.version
	return write(images, reference, filepath.Join(out, b.program))
}
