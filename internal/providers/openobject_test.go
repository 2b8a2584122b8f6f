package providers

import (
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestOpenObjectKeepsEverything(t *testing.T) {
	for in, want := range map[string]string{
		`{}`: `{}`,
		`{"a":{"b":[1,"two",true,null,{"c":[]}]},"":"empty name","å":"ö"}`: `{"a":{"b":[1,"two",true,null,{"c":[]}]},"":"empty name","å":"ö"}`,
		`[1,2]`:  `{"value":[1,2]}`,
		`12.5`:   `{"value":12.5}`,
		`"text"`: `{"value":"text"}`,
		`false`:  `{"value":false}`,
	} {
		got, err := OpenObject(json.RawMessage(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		var wanted structpb.Struct
		if err := protojson.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got, &wanted) {
			t.Errorf("%s became %v, want %s", in, got, want)
		}
	}
	for _, in := range []string{"", " ", "null"} {
		if got, err := OpenObject(json.RawMessage(in)); got != nil || err != nil {
			t.Errorf("%q became %v, %v, want nothing", in, got, err)
		}
	}
	for _, in := range []string{"{", `{"a":}`, "{} {}", "NaN"} {
		if _, err := OpenObject(json.RawMessage(in)); err == nil {
			t.Errorf("%q was accepted", in)
		}
	}
}

func TestOpenObjectNumbers(t *testing.T) {
	for text, want := range map[string]any{
		"0.1":                     0.1,
		"0.10":                    0.1,
		"1e3":                     1000.0,
		"1E+3":                    1000.0,
		"-24.99":                  -24.99,
		"12345678901234.56":       12345678901234.56,
		"9007199254740992":        9007199254740992.0,
		"9007199254740993":        "9007199254740993", // 2^53+1
		"0.1000000000000000055":   "0.1000000000000000055",
		"123456789012345678.9":    "123456789012345678.9",
		"1e400":                   "1e400",
		"1e-400":                  "1e-400",
		"1e99999999999999999999":  "1e99999999999999999999",
		"1e-99999999999999999999": "1e-99999999999999999999",
		"0e99999999999":           "0e99999999999",
		"0":                       0.0,
		"-0.00":                   math.Copysign(0, -1),
		"100000000000000000000":   1e20,
	} {
		object, err := OpenObject(json.RawMessage(`{"n":` + text + `}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := object.Fields["n"].AsInterface()
		if got != want {
			t.Errorf("%s became %T %v, want %T %v", text, got, got, want, want)
		}
		if double, ok := got.(float64); ok && math.Signbit(double) != math.Signbit(want.(float64)) {
			t.Errorf("%s lost its sign", text)
		}
	}
}

func FuzzOpenObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":[1,{"b":0.1}],"c":null}`, `9007199254740993`, `1e400000000`, `"\ud800"`, "\"\xff\"", `{"a":1}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		object, err := OpenObject(raw)
		if err != nil || object == nil {
			return
		}
		// What came through must be sendable: valid UTF-8, finite numbers.
		if _, err := proto.Marshal(object); err != nil {
			t.Errorf("%q cannot be written: %v", raw, err)
		}
		if _, err := protojson.Marshal(object); err != nil {
			t.Errorf("%q cannot be written as JSON: %v", raw, err)
		}
	})
}
