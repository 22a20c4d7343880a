package render

import (
	"runtime/debug"
	_ "time/tzdata" // templates name time zones, and the process has no files to read them from
)

// confine takes from this process what rendering does not need, before anything of the source gets into it. There is no way back.
func confine(limits Limits) error {
	// The collector works harder before memory runs out.
	debug.SetMemoryLimit(int64(limits.Memory) / 2)
	return confineSystem(limits)
}
