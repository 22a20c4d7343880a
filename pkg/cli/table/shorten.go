package table

// Shorten cuts the middle out of a text that is longer than limit characters. More stays of the beginning, which says what it is about, than of the end,
// which often says why.
func Shorten(text string, limit int) string {
	runes := []rune(text)
	if limit < 1 || len(runes) <= limit {
		return text
	}
	end := (limit - 1) / 3
	return string(runes[:limit-1-end]) + "…" + string(runes[len(runes)-end:])
}
