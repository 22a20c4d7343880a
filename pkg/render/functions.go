package render

import (
	"errors"
	"fmt"
	"slices"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

// refusedFunctions answer something else each time, or something of the machine: with them, the same chart would not be the same objects.
var refusedFunctions = []string{
	"now", "ago",
	"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4",
	"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey",
	"bcrypt", "htpasswd", "encryptAES",
}

// maxOfOne is how many items, or bytes, one call of a function may make out of a number.
const maxOfOne = 16 << 20

// functions replace Helm's own in templates.
func (c *worker) functions() template.FuncMap {
	f := template.FuncMap{markFunction: c.mark, enterFunction: c.enter}
	for _, name := range refusedFunctions {
		f[name] = func(...any) (any, error) {
			return nil, fmt.Errorf("%s answers something else each time, so the chart would never be the same; give it a value for what it makes", name)
		}
	}
	// As in `helm template`: charts that look before they make something find nothing.
	f["lookup"] = func(apiVersion, kind, _, _ string) map[string]any {
		c.warn("%s: lookup of %s %s finds nothing, since nothing is asked of clusters", c.source.at, clip(apiVersion), clip(kind))
		return map[string]any{}
	}
	// Sprig's answer these in the order of a map, which is another one each time.
	f["keys"] = sortedKeys
	f["values"] = sortedValues
	own := sprig.TxtFuncMap()
	// Sprig's take the time of day for what is no date.
	for _, name := range []string{"date", "dateInZone", "date_in_zone", "htmlDate", "htmlDateInZone"} {
		f[name] = ofDates(own[name])
	}
	f["durationRound"] = func(of any) (string, error) {
		if _, isTime := of.(time.Time); isTime {
			return "", errors.New("durationRound of a date says how long ago it is, which is something else each time")
		}
		return own["durationRound"].(func(any) string)(of), nil
	}
	f["repeat"] = func(count int, text string) (string, error) {
		if count > 0 && len(text) > maxOfOne/count {
			return "", fmt.Errorf("repeat: %w", errMuch)
		}
		return own["repeat"].(func(int, string) string)(count, text), nil
	}
	f["until"] = func(count int) ([]int, error) {
		if max(count, -count) > maxOfOne {
			return nil, fmt.Errorf("until: %w", errMuch)
		}
		return own["until"].(func(int) []int)(count), nil
	}
	f["untilStep"] = func(start, stop, step int) ([]int, error) {
		if step != 0 && (stop-start)/step > maxOfOne {
			return nil, fmt.Errorf("untilStep: %w", errMuch)
		}
		return own["untilStep"].(func(int, int, int) []int)(start, stop, step), nil
	}
	return f
}

func sortedKeys(maps ...map[string]any) []string {
	var keys []string
	for _, m := range maps {
		var of []string
		for key := range m {
			of = append(of, key)
		}
		slices.Sort(of)
		keys = append(keys, of...)
	}
	return keys
}

func sortedValues(m map[string]any) []any {
	values := []any{}
	for _, key := range sortedKeys(m) {
		values = append(values, m[key])
	}
	return values
}

var errNoDate = errors.New("this is no date, and would be the time of day; give it one by toDate")

// ofDates calls a function of Sprig that formats dates with what is one: its second argument.
func ofDates(function any) any {
	check := func(date any) error {
		switch date.(type) {
		case time.Time, *time.Time, int64, int, int32:
			return nil
		}
		return errNoDate
	}
	switch f := function.(type) {
	case func(string, any) string:
		return func(layout string, date any) (string, error) {
			if err := check(date); err != nil {
				return "", err
			}
			return f(layout, date), nil
		}
	case func(string, any, string) string:
		return func(layout string, date any, zone string) (string, error) {
			if err := check(date); err != nil {
				return "", err
			}
			return f(layout, date, zone), nil
		}
	case func(any) string:
		return func(date any) (string, error) {
			if err := check(date); err != nil {
				return "", err
			}
			return f(date), nil
		}
	case func(any, string) string:
		return func(date any, zone string) (string, error) {
			if err := check(date); err != nil {
				return "", err
			}
			return f(date, zone), nil
		}
	}
	return func(...any) (string, error) { return "", errNoDate }
}
