package described

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
)

// Maker makes values that a schema of the document allows.
type Maker struct {
	Rand *rand.Rand
	// Known are names of resources that there are: a text that must have their form is often one of them.
	Known []string
	// Format, where set, may give a value for a text of a format; it gives "" for formats that it does not know.
	Format func(format string) string
}

// Value makes a value of a schema.
func (m *Maker) Value(schema map[string]any, depth int) any {
	schema = Resolve(schema)
	if forms, ok := schema["anyOf"].([]any); ok {
		return m.Value(Resolve(forms[m.Rand.IntN(len(forms))]), depth)
	}
	if values, ok := schema["enum"].([]any); ok {
		return values[m.Rand.IntN(len(values))]
	}
	switch schema["type"] {
	case "object":
		return m.object(schema, depth)
	case "array":
		return m.array(schema, depth)
	case "boolean":
		return m.Rand.IntN(2) == 0
	case "integer":
		return m.integer(schema)
	case "number":
		return m.Rand.NormFloat64() * 1e6
	}
	if schema["type"] == nil && schema["format"] == nil {
		panic(fmt.Sprintf("no value for %v", schema))
	}
	return m.Text(schema)
}

func (m *Maker) object(schema object, depth int) any {
	out := object{}
	properties, _ := schema["properties"].(object)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(required, any(name)) && m.Rand.IntN(2+depth) > 0 {
			continue
		}
		property, _ := properties[name].(object)
		out[name] = m.Value(property, depth+1)
	}
	return out
}

func (m *Maker) array(schema object, depth int) any {
	least, most := number(schema, "minItems", 0), number(schema, "maxItems", 3)
	n := least + m.Rand.IntN(max(1, min(most, least+3)-least+1))
	items, _ := schema["items"].(object)
	list := []any{}
	for range n {
		value := m.Value(items, depth+1)
		if schema["uniqueItems"] == true && slices.ContainsFunc(list, func(v any) bool { return v == value }) {
			continue
		}
		list = append(list, value)
	}
	return list
}

func (m *Maker) integer(schema object) int {
	least, most := number(schema, "minimum", -1<<31), number(schema, "maximum", 1<<31-1)
	switch m.Rand.IntN(4) {
	case 0:
		return least
	case 1:
		return most
	}
	return least + m.Rand.IntN(min(most-least, 2000))
}

func number(schema object, key string, otherwise int) int {
	if value, ok := schema[key]; ok {
		var n int
		_, _ = fmt.Sscan(fmt.Sprint(value), &n)
		return n
	}
	return otherwise
}

// letters are what texts are made of: plain ones, and such as trip programs up.
var letters = []rune("abcXYZ 0123-_./:%&?=+'\"\\<>{}\täöß\u6f22\U0001F600\u200b\u0000")

// Text makes a text of a schema.
func (m *Maker) Text(schema map[string]any) string {
	least, most := number(schema, "minLength", 0), number(schema, "maxLength", 300)
	if schema["contentEncoding"] == "base64" {
		document := make([]byte, m.Rand.IntN(200))
		for i := range document {
			document[i] = byte(m.Rand.IntN(256))
		}
		return base64.StdEncoding.EncodeToString(append([]byte("%PDF-1.7\n"), document...))
	}
	if pattern, ok := schema["pattern"].(string); ok {
		return m.matching(pattern, least, most)
	}
	format := fmt.Sprint(schema["format"])
	if m.Format != nil {
		if text := m.Format(format); text != "" {
			return text
		}
	}
	switch format {
	case "date-time":
		return time.Unix(m.Rand.Int64N(2e9), 0).UTC().Format(time.RFC3339)
	case "uri":
		return "https://app.example.com/" + fmt.Sprint(m.Rand.IntN(1000))
	case "ipv4":
		return fmt.Sprintf("192.0.2.%d", m.Rand.IntN(256))
	case "ipv6":
		return fmt.Sprintf("2001:db8::%x", m.Rand.IntN(65536))
	}
	n := least + m.Rand.IntN(max(1, min(most-least, 20)+1))
	if m.Rand.IntN(20) == 0 {
		n = most
	}
	text := make([]rune, n)
	for i := range text {
		text[i] = letters[m.Rand.IntN(len(letters))]
	}
	return string(text)
}

// matching makes a text that has a pattern.
func (m *Maker) matching(pattern string, least, most int) string {
	expression := regexp.MustCompile(pattern)
	var known []string
	for _, name := range m.Known {
		if expression.MatchString(name) && len(name) <= most {
			known = append(known, name)
		}
	}
	if len(known) > 0 && m.Rand.IntN(4) > 0 {
		return known[m.Rand.IntN(len(known))]
	}
	if pattern == datePattern {
		return time.Unix(m.Rand.Int64N(2e9), 0).UTC().Format(time.DateOnly)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}
	for range 1000 {
		var out strings.Builder
		m.write(&out, parsed.Simplify())
		if text := out.String(); len([]rune(text)) >= least && len([]rune(text)) <= most {
			return text
		}
	}
	panic("no text has the pattern " + pattern)
}

const datePattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`

func (m *Maker) write(out *strings.Builder, r *syntax.Regexp) {
	times := func(n int) {
		for range n {
			m.write(out, r.Sub[0])
		}
	}
	switch r.Op {
	case syntax.OpLiteral:
		out.WriteString(string(r.Rune))
	case syntax.OpCharClass:
		out.WriteRune(m.oneOf(r.Rune))
	case syntax.OpStar:
		times(m.Rand.IntN(8))
	case syntax.OpPlus:
		times(1 + m.Rand.IntN(12))
	case syntax.OpQuest:
		times(m.Rand.IntN(2))
	case syntax.OpConcat:
		for _, sub := range r.Sub {
			m.write(out, sub)
		}
	case syntax.OpAlternate:
		m.write(out, r.Sub[m.Rand.IntN(len(r.Sub))])
	case syntax.OpCapture:
		m.write(out, r.Sub[0])
	case syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpEmptyMatch:
	default:
		panic(fmt.Sprintf("no text for %v", r))
	}
}

// oneOf picks a letter of a class, printable where there is one.
func (m *Maker) oneOf(class []rune) rune {
	var plain []rune
	for i := 0; i < len(class); i += 2 {
		for c := max(class[i], ' '); c <= min(class[i+1], '~'); c++ {
			plain = append(plain, c)
		}
	}
	if len(plain) > 0 {
		return plain[m.Rand.IntN(len(plain))]
	}
	return class[0]
}
