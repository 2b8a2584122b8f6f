package rest

import "bytes"

// What is not known is left out of JSON. protojson writes an empty string for a field without presence, such as
// nextPageToken on the last page, so that is cut out of its text. Quotes within a string are escaped, so `":""` can
// only be the end of a name with an empty string behind it.

var nothing = []byte(`":""`)

// withoutEmpty cuts the fields that are an empty string out of compact JSON.
func withoutEmpty(text []byte) []byte {
	if !bytes.Contains(text, nothing) {
		return text
	}
	out := make([]byte, 0, len(text))
	for {
		before, after, found := bytes.Cut(text, nothing)
		out = append(out, before...)
		if !found {
			return out
		}
		text = after
		name := bytes.LastIndexByte(out, '"')
		if name < 1 || out[name-1] == '\\' { // a key of a map, with a quote in it
			out = append(out, nothing...)
			continue
		}
		switch out = out[:name]; {
		case out[len(out)-1] == ',':
			out = out[:len(out)-1]
		case len(text) > 0 && text[0] == ',':
			text = text[1:]
		}
	}
}
