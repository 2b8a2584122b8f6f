package security

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// forms are the texts as which a value may stand somewhere: plain, in JSON, in a URL, in base64 (at every offset
// within a longer text, both alphabets) and in hex.
func forms(value string) []string {
	quoted, _ := json.Marshal(value)
	ascii := strings.Trim(strings.ReplaceAll(fmt.Sprintf("%+q", value), `\\`, `\`), `"`)
	all := []string{
		value, strings.Trim(string(quoted), `"`), ascii, url.QueryEscape(value), url.PathEscape(value),
		hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
	}
	for offset := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, offset), value...))
			// Only the letters that are made of nothing but the value.
			all = append(all, text[(offset*8+5)/6:(offset+len(value))*8/6])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// hashes are those of a value that can be guessed: they would tell it as well.
func hashes(value string) []string {
	sum := sha256.Sum256([]byte(value))
	return append(forms(hex.EncodeToString(sum[:])), forms(string(sum[:]))...)
}

// needle is a value that must stand nowhere, with what it is.
type needle struct {
	what, value string
	// guessable says that a hash of it tells it.
	guessable bool
	// url says that a caller put it into a URL, where alone it may stand.
	url bool
}

// pattern is one form of a needle.
type pattern struct {
	needle *needle
	text   []byte
}

// haystack finds many needles in one go: by their first eight bytes.
type haystack map[uint64][]pattern

func newHaystack(t *testing.T, needles []needle) haystack {
	t.Helper()
	h := haystack{}
	for i := range needles {
		all := forms(needles[i].value)
		if needles[i].guessable {
			all = append(all, hashes(needles[i].value)...)
		}
		for _, form := range all {
			if len(form) < 8 {
				t.Fatalf("%s is too short to look for", needles[i].what)
			}
			first := binary.LittleEndian.Uint64([]byte(form))
			h[first] = append(h[first], pattern{&needles[i], []byte(form)})
		}
	}
	return h
}

// hits counts the needles that stand in a sink, and reports each.
func (h haystack) hits(t *testing.T, sink string, content []byte) int {
	t.Helper()
	found := map[*needle]bool{}
	for at := 0; at+8 <= len(content); at++ {
		for _, p := range h[binary.LittleEndian.Uint64(content[at:])] {
			if found[p.needle] || p.needle.url && sink == "URLs" || !bytes.HasPrefix(content[at:], p.text) {
				continue
			}
			found[p.needle] = true
			around := content[max(0, at-200):min(len(content), at+len(p.text)+100)]
			t.Errorf("%s stands in %s as %q: %q", p.needle.what, sink, p.text, around)
		}
	}
	return len(found)
}

// TestForms: a value is found in whatever it was encoded as.
func TestForms(t *testing.T) {
	const value = "Sandström/1995+03 09%"
	for what, text := range map[string]string{
		"plain": "x" + value + "y", "json": string(must(json.Marshal("x" + value + "y"))(t)),
		"ascii": fmt.Sprintf("%+q", "x"+value+"y"),
		"query": url.Values{"q": {"x" + value}}.Encode(), "path": url.PathEscape("x" + value),
		"base64 0": base64.StdEncoding.EncodeToString([]byte(value + "y")),
		"base64 1": base64.StdEncoding.EncodeToString([]byte("x" + value + "yz")),
		"base64 2": base64.URLEncoding.EncodeToString([]byte("xx" + value)),
		"hex":      hex.EncodeToString([]byte("x" + value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))),
	} {
		if !slices.ContainsFunc(forms(value), func(form string) bool { return strings.Contains(text, form) }) {
			t.Errorf("%s: not found in %s", what, text)
		}
	}
}
