package query

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// ship is a resource that tests ask for.
type ship struct {
	name, presence, version string
	groups                  []string
	guns, launched          int64
	labels                  map[string]string
}

var ships = Schema[*ship]{
	Labels: func(s *ship) map[string]string { return s.labels },
	Name:   func(s *ship) string { return s.name },
	Fields: []Field[*ship]{
		{Name: "name", Text: func(s *ship) string { return s.name }},
		{Name: "presence", Text: func(s *ship) string { return s.presence }, Words: []string{"Connected", "Stale"}},
		{Name: "version", Text: func(s *ship) string { return s.version }, Version: true},
		{Name: "group", Texts: func(s *ship) []string { return s.groups }},
		{Name: "guns", Number: func(s *ship) int64 { return s.guns }},
		{Name: "launched", Number: func(s *ship) int64 { return s.launched }, Time: true},
	},
}

var victory = &ship{name: "victory", presence: "Stale", version: "v1.30.4+k3s1", groups: []string{"fleet", "old"}, guns: 104,
	labels: map[string]string{"env": "prod", "presence": "blue", "region": "eu"}}

func TestFilter(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                 true,
		"env=prod,region in (eu,us),!beta": true,
		"env!=prod":                        false,
		"presence=stale":                   true,
		"presence = STALE":                 true,
		"presence!=connected":              true,
		"presence=connected":               false,
		"presence in (connected,stale)":    true,
		"labels.presence=blue":             true,
		"labels.presence=stale":            false,
		"name=vic*":                        true,
		"name=*tor*":                       true,
		"name=v*c*y":                       true,
		"name=v*x*y":                       false,
		"name=victory*victory":             false,
		"name=*":                           true,
		"group=old":                        true,
		"group!=old":                       false,
		"group=new":                        false,
		"group notin (new,newer)":          true,
		"group":                            true,
		"!group":                           false,
		"guns>100":                         true,
		"guns>=104,guns<=104":              true,
		"guns<104":                         false,
		"guns in (1,104)":                  true,
		"guns!=104":                        false,
		"guns":                             true,
		"!guns":                            false,
		"version=1.30":                     true,
		"version=v1.30.4":                  true,
		"version=1.30.4+k3s1":              false, // with something behind the numbers it is the whole text that counts
		"version=v1.30.4+k3s1":             true,
		"version=1.3":                      false,
		"version>=1.30":                    true,
		"version>1.30":                     false,
		"version<=1.30":                    true,
		"version<1.31":                     true,
		"version>1.30.3":                   true,
		"version>1":                        false,
		"version!=1.31":                    true,
		"version=v1.30.*":                  true,
	} {
		f, err := ships.Filter(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := f.Matches(victory); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
		if f.Empty() != (text == "") {
			t.Errorf("%q: Empty is %v", text, f.Empty())
		}
	}
	if f, _ := ships.Filter("version>=1.0"); f.Matches(&ship{}) {
		t.Error("no version at all passes a comparison")
	}
}

// What passes is looked up by the labels that it must have: no field's, and none that it may not have.
func TestFilterNamesLabels(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"env=prod,tier in (web,db)":          "env=prod tier in (web,db)",
		"env!=prod,env,!beta,presence=stale": "",
		"labels.presence=blue,env=prod":      "presence=blue env=prod",
	} {
		f, err := ships.Filter(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range f.And(func(*ship) bool { return true }).Labels() {
			got = append(got, r.String())
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	noLabels := Schema[*ship]{Name: ships.Name, Fields: ships.Fields}
	for _, tc := range []struct {
		schema     *Schema[*ship]
		text, want string
	}{
		{&ships, "a b", `column 3: found "b"`},
		{&ships, "env=prod,presence=gone", `column 19: "gone" is no presence; there are Connected, Stale, at "gone"`},
		{&ships, "guns>many", `column 6: guns is a number, and "many" is none`},
		{&ships, "presence>stale", `column 1: presence is no number and no version, so ">" does not go with it`},
		{&ships, "env>1", `column 1: "env" is a label`},
		{&ships, "-a=b", `column 1: label key "-a"`},
		{&ships, "a in (b,-c)", `column 9: label value "-c"`},
		{&ships, "version>new", `column 9: "new" is no version`},
		{&ships, "launched>1", `launched is a time`},
		{&noLabels, "env=prod", `column 1: there is no field "env"; there are name, presence`},
		{&ships, strings.Repeat("a,", 100) + "a", `has 101 parts; at most 64`},
		{&ships, strings.Repeat("a", 5000), `longer than 4096 bytes`},
	} {
		_, err := tc.schema.Filter(tc.text)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.60q: %v, want %s", tc.text, err, tc.want)
		}
	}
}

func TestOrderRefuses(t *testing.T) {
	noLabels := Schema[*ship]{Name: ships.Name, Fields: ships.Fields}
	for text, want := range map[string]string{
		"name,":                          "column 6: a field is missing",
		"name, guns downwards":           `column 7: a field, and "desc" or "asc"`,
		"name desc desc":                 `column 1: a field, and "desc"`,
		"group":                          "column 1: group has several values",
		"env":                            `column 1: there is no field "env"`,
		strings.Repeat("name,", 9) + "x": "at most 8 fields",
	} {
		if _, err := noLabels.Order(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestTopPagesAsASortWould pages through shuffled resources in several orders and compares with a plain sort.
func TestTopPagesAsASortWould(t *testing.T) {
	var all []*ship
	for i := range 200 {
		all = append(all, &ship{name: fmt.Sprintf("s%03d", i), guns: int64(i % 7), version: fmt.Sprintf("v1.%d.0", i%13), labels: map[string]string{"env": fmt.Sprint(i % 3)}})
	}
	byName := func(a, b *ship) int { return strings.Compare(a.name, b.name) }
	minor := func(s *ship) int { var n int; fmt.Sscanf(s.version, "v1.%d", &n); return n }
	for text, compare := range map[string]func(a, b *ship) int{
		"":          byName,
		"name desc": func(a, b *ship) int { return -byName(a, b) },
		"guns desc": func(a, b *ship) int { return cmp.Or(-cmp.Compare(a.guns, b.guns), byName(a, b)) },
		"env, guns desc": func(a, b *ship) int {
			return cmp.Or(strings.Compare(a.labels["env"], b.labels["env"]), -cmp.Compare(a.guns, b.guns), byName(a, b))
		},
		"version": func(a, b *ship) int { return cmp.Or(cmp.Compare(minor(a), minor(b)), byName(a, b)) },
	} {
		order, err := ships.Order(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var paged []*ship
		var after Position
		for more := true; more; {
			top := NewTop(order, after, 17)
			for _, s := range all {
				top.Add(s)
			}
			var items []*ship
			var total int
			items, total, more = top.Result()
			if total != len(all) {
				t.Fatalf("%q: total %d", text, total)
			}
			paged = append(paged, items...)
			after = order.Position(items[len(items)-1])
		}
		sorted := slices.Clone(all)
		slices.SortFunc(sorted, compare)
		if !slices.Equal(paged, sorted) {
			t.Errorf("%q: pages give another order than a sort", text)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, text := range []string{"env=prod", "presence in (stale,)", "version>=1.30", "guns<0", "name=*a**b", "!group,labels.x!=y"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if filter, err := ships.Filter(text); err == nil {
			filter.Matches(victory)
			filter.Matches(&ship{})
		}
		if order, err := ships.Order(text); err == nil && order.compare(victory, order.Position(victory)) != 0 {
			t.Errorf("%q: a resource does not stand where it stands", text)
		}
	})
}
