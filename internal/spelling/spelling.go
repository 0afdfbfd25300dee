// Package spelling finds the word that somebody meant.
package spelling

import (
	"fmt"
	"strings"
)

// DidYouMean is `, did you mean "cache"?` for a word close to one of a list, else the list itself.
func DidYouMean(word string, words []string) string {
	best, distance := "", 3
	for _, candidate := range words {
		if d := edits(strings.ToLower(word), strings.ToLower(candidate)); d < distance && d < len(candidate) {
			best, distance = candidate, d
		}
	}
	if best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	if len(words) == 0 {
		return ""
	}
	return ": want " + OrList(words)
}

// OrList is "a, b or c".
func OrList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// edits is how many characters have to be put in, taken out, replaced or swapped with their neighbour to turn a into b.
func edits(a, b string) int {
	const far = 100
	x, y := []rune(a), []rune(b)
	if len(x) > far || len(y) > far {
		return far
	}
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}
