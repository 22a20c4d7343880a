// Package cause puts failures together that have the same cause, and finds what the clusters that fail have in common. It is pure: hub/api gives it what a
// caller may see of the index, and shows what it answers.
package cause
