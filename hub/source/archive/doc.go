// Package archive keeps what servers of charts and of OCI artifacts give: archives, unpacked into one directory per digest. An archive is foreign: what it holds is
// bounded in number, size and depth, and nothing of it gets out of its directory, neither when it is written nor when it is read.
//
//	DIR/
//	├── 4d5f…      the tree of a digest, whole: it is renamed to that last of all
//	└── .new-123   one that is being written
package archive
