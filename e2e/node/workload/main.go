// Command workload is what the pods of tests on real nodes run: as "pause" it holds a pod's namespaces open, and otherwise it serves
// its argument over HTTP until it is stopped. It is in one image from scratch.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) == 2 {
		go func() {
			err := http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Args[1]) }))
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}()
	}
	<-ctx.Done()
}
