package index

// defaultRemember is how many changes of a kind are remembered: of all clusters of a large fleet, some times over. Old entries share most of what they
// hold with new ones; 32,768 of clusters with 20 bundles take about 20 MB.
const defaultRemember = 32_768

// Change is what has become of one resource: Old is nil where it is new, New where it is no more.
type Change[E any] struct{ Old, New *E }

// log remembers the newest changes of one kind.
type log[E any] struct {
	records []record[E] // ascending by seq
	// remember is how many there are at least, once there have been so many.
	remember int
	// lost is the seq of the newest one that is not remembered any more.
	lost uint64
}

type record[E any] struct {
	seq uint64
	Change[E]
}

func (l *log[E]) add(seq uint64, c Change[E]) {
	l.records = append(l.records, record[E]{seq, c})
	// Cut by half a log at a time, so that it costs little for each.
	if len(l.records) > l.remember+l.remember/2 {
		cut := len(l.records) - l.remember
		l.lost = l.records[cut-1].seq
		l.records = append([]record[E](nil), l.records[cut:]...)
	}
}

// after are the changes after a seq.
func (l *log[E]) after(seq uint64) []record[E] {
	from := len(l.records)
	for from > 0 && l.records[from-1].seq > seq {
		from--
	}
	return l.records[from:]
}

// since answers the changes after a seq of what keep lets pass, before or after: those of one resource as one, in the order of their first.
func (l *log[E]) since(seq uint64, key func(*E) string, keep func(*E) bool) (changes []Change[E], ok bool) {
	if seq < l.lost {
		return nil, false
	}
	return merged(passing(nil, l.after(seq), keep), key), true
}

// passing adds those records of which keep lets the old or the new entry pass.
func passing[E any](to, records []record[E], keep func(*E) bool) []record[E] {
	for _, r := range records {
		if r.Old != nil && keep(r.Old) || r.New != nil && keep(r.New) {
			to = append(to, r)
		}
	}
	return to
}

// merged makes one change of those of one resource.
func merged[E any](records []record[E], key func(*E) string) (changes []Change[E]) {
	var place map[string]int // in changes
	for _, r := range records {
		of := r.Old
		if of == nil {
			of = r.New
		}
		if place == nil {
			place = make(map[string]int)
		}
		if i, ok := place[key(of)]; ok {
			changes[i].New = r.New
			continue
		}
		place[key(of)] = len(changes)
		changes = append(changes, r.Change)
	}
	return changes
}
