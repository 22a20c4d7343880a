// Package parallel has tests that mostly wait run beside each other, also on a machine of few cores.
package parallel

import (
	"flag"
	"fmt"
	"runtime"
)

// AtLeast lets n tests run at a time, unless the go command was told how many. It is called in TestMain, once.
func AtLeast(n int) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if asked || runtime.GOMAXPROCS(0) >= n {
		return
	}
	if err := flag.Set("test.parallel", fmt.Sprint(n)); err != nil {
		panic(err) // it is called from no test
	}
}
