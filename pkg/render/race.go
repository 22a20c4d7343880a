//go:build race

package render

// raced: the race detector maps more memory than there is, so the kernel cannot bound it.
const raced = true
