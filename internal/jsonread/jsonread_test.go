package jsonread_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/jsonread/jsonreadtest"
)

// text is a string that reads itself, as the adapters' texts do.
type text string

func (s *text) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case 'n':
		return nil
	case '"':
		*s = text(jsonread.Text(data))
		return nil
	}
	return errors.New("no text")
}

type inner struct {
	Name text   `json:"name"`
	Flag bool   `json:"flag"`
	On   *bool  `json:"on"`
	List []text `json:"list"`
}

type outer struct {
	Kind  text            `json:"Kind"`
	One   inner           `json:"one"`
	Maybe *inner          `json:"maybe"`
	Many  []inner         `json:"many"`
	Open  json.RawMessage `json:"open"`
}

var readInner = jsonread.Members[inner]{
	jsonread.At("name", func(d *jsonread.Decoder, i *inner) error { return jsonread.Value(d, &i.Name) }),
	jsonread.At("flag", func(d *jsonread.Decoder, i *inner) error { return jsonread.Bool(d, &i.Flag) }),
	jsonread.At("on", func(d *jsonread.Decoder, i *inner) error { return jsonread.Pointer(d, &i.On, jsonread.Bool) }),
	jsonread.At("list", func(d *jsonread.Decoder, i *inner) error {
		return jsonread.Slice(d, &i.List, func(d *jsonread.Decoder, s *text) error { return jsonread.Value(d, s) })
	}),
}.Read

var readOuter = jsonread.Members[outer]{
	jsonread.At("Kind", func(d *jsonread.Decoder, o *outer) error { return jsonread.Value(d, &o.Kind) }),
	jsonread.At("one", func(d *jsonread.Decoder, o *outer) error { return readInner(d, &o.One) }),
	jsonread.At("maybe", func(d *jsonread.Decoder, o *outer) error { return jsonread.Pointer(d, &o.Maybe, readInner) }),
	jsonread.At("many", func(d *jsonread.Decoder, o *outer) error { return jsonread.Slice(d, &o.Many, readInner) }),
	jsonread.At("open", func(d *jsonread.Decoder, o *outer) error { return jsonread.Value(d, &o.Open) }),
}.Read

var samples = []string{
	`null`, `{}`, ` {"one" : {"name":"a","flag":true} , "kind":"b"} `, `[]`, `"x"`, `1`, `true`, ``, ` `, `{`, `{"one"`,
	`{"one":`, `{"one":{}`, `{"one":{}}x`, `{"one":{},}`, `{"one" {}}`, `{one:{}}`, `{"one":[]}`, `{"one":null}`,
	`{"maybe":null,"many":null,"open":null}`, `{"maybe":{"on":false},"many":[{"on":null},null,{"list":[]}]}`,
	`{"many":[{"list":["a",null,"b"]},{}]}`, `{"many":[,]}`, `{"many":[{},]}`, `{"many":[{} {}]}`, `{"many":{}}`,
	`{"many":[1]}`, `{"one":{"flag":"true"}}`, `{"one":{"flag":1}}`, `{"one":{"on":[]}}`, `{"one":{"flag":tru}}`,
	`{"KIND":"a","ONE":{"NAME":"b"}}`, `{"\u006bind":"escaped"}`, `{"` + "\u212a" + `ind":"the Kelvin sign folds"}`,
	`{"Kind":"\ud83d\ude00 \ud83d \ude00 \ud83dx \u00fc \/ \n"}`, `{"Kind":"\ud83d\u0041"}`, `{"Kind":"\uD83D\n"}`,
	"{\"Kind\":\"a\xffb\xc3\"}", "{\"Ki\xffnd\":\"a\"}", "{\"Kind\":\"a\nb\"}", `{"Kind":"\x"}`, `{"Kind":"\u12"}`,
	`{"other":{"kind":"hidden"},"more":[{"one":1}],"x":1e5,"Kind":"seen"}`, `{"x":01}`, `{"x":1.}`, `{"x":-}`,
	`{"x":.5}`, `{"x":1e}`, `{"x":+1}`, `{"x":NaN}`, `{"open":{"a":[1,{"b":null}]}}`, `{"open": [ 1 ] }`,
	"\ufeff{}", `{"one":{"name":1}}`, `{"Kind":{"a":1}}`, `{"` + strings.Repeat("x", 100) + `":1}`,
}

// What encoding/json makes of a text the tables make of it, and what it refuses they refuse.
func TestSameAsEncodingJSON(t *testing.T) {
	for _, sample := range samples {
		jsonreadtest.Same(t, []byte(sample), readOuter)
	}
}

func FuzzSameAsEncodingJSON(f *testing.F) {
	for _, sample := range samples {
		f.Add([]byte(sample))
	}
	for _, written := range texts {
		f.Add([]byte(written))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		jsonreadtest.Same(t, body, readOuter)
		sameText(t, body)
	})
}

var texts = []string{
	`""`, `"a"`, `"a\/b\n\"\\"`, "\"\xff\"", "\"a\xc3\"", "\"\u00fc\"", `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`,
	`"\ud83dx"`, `"\ud83d\u0041"`, `"\uD83D\n"`, "\"\xff\\n\"",
}

// What encoding/json makes of a string Text makes of it.
func TestText(t *testing.T) {
	for _, written := range texts {
		sameText(t, []byte(written))
	}
}

func sameText(t *testing.T, written []byte) {
	t.Helper()
	var want string
	written = bytes.TrimSpace(written)
	if len(written) == 0 || written[0] != '"' || json.Unmarshal(written, &want) != nil {
		return
	}
	if got := jsonread.Text(written); got != want {
		t.Errorf("%q became %q, want %q", written, got, want)
	}
}

// The later one of two lists counts, whole; of two texts, too, unless it is null.
func TestWhatComesTwice(t *testing.T) {
	got, err := jsonreadtest.Read([]byte(
		`{"many":[{"name":"a","flag":true},{}],"Kind":"x","many":[{"name":"b"}],"Kind":"y","KIND":null}`), readOuter)
	if err != nil || len(got.Many) != 1 || got.Many[0].Name != "b" || got.Many[0].Flag || got.Kind != "y" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := jsonreadtest.Read([]byte(`{"many":[{}],"many":null}`), readOuter); err != nil || got.Many != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// An error names the place by our own names, and never the value.
func TestWrongTypesNameTheirPlace(t *testing.T) {
	for body, want := range map[string]string{
		`{"MANY":[{},{"flag":"canary"}]}`: "many.flag", `{"one":"canary"}`: "one", `{"one":{"list":1}}`: "one.list",
	} {
		_, err := jsonreadtest.Read([]byte(body), readOuter)
		var wrong *jsonread.TypeError
		if !errors.As(err, &wrong) || wrong.Field != want || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// A reader's error ends the reading, wherever it strikes.
func TestErrorsOfTheReaderPass(t *testing.T) {
	whole := `{"Kind":"a","one":{"name":"b","list":["c"]},"many":[{"flag":true}],"x":{"y":[1]},"open":{"z":1}}`
	broken := errors.New("broken")
	for cut := range len(whole) {
		var o outer
		err := readOuter(jsonread.NewDecoder(&breaking{text: whole[:cut], err: broken}), &o)
		if !errors.Is(err, broken) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

type breaking struct {
	text string
	err  error
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.text == "" {
		return 0, b.err
	}
	n := copy(p[:1], b.text)
	b.text = b.text[n:]
	return n, nil
}
