package resource

import (
	"iter"
	"strings"
)

// maxSlips is how many letters a word may differ in and still be taken for another: two slips of the finger.
const maxSlips = 2

// Closest returns the candidate that was probably meant by a word; empty if none is like it. It takes no number for another: eu-3 is no slip for eu-1.
func Closest(word string, candidates iter.Seq[string]) string {
	best, distance := "", min(maxSlips, len(word)/2)+1
	for candidate := range candidates {
		if digits(word) != digits(candidate) {
			continue
		}
		if d := edits(strings.ToLower(word), strings.ToLower(candidate)); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}

func digits(word string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, word)
}

// edits is the number of letters to insert, remove or replace to make one word of the other.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
