package money

import (
	"encoding/json"
	"testing"

	"github.com/cockroachdb/apd/v3"
)

func TestAmountsPassUnchanged(t *testing.T) {
	for in, want := range map[string]string{
		"0.1":               "0.1",
		"1e3":               "1000",
		"1E+3":              "1000",
		"1.5e-3":            "0.0015",
		"12345678901234.56": "12345678901234.56",
		"-0.00":             "-0.00",
		"0.10":              "0.10",
		"0":                 "0",
		"0e1":               "0",
		"-0e3":              "-0",
		"-24.99":            "-24.99",
	} {
		var d Decimal
		if err := json.Unmarshal([]byte(in), &d); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := d.String(); got != want {
			t.Errorf("%s came out as %s, want %s", in, got, want)
		}
		out, err := json.Marshal(d)
		if err != nil || string(out) != want {
			t.Errorf("%s was written as %s (%v), want %s", in, out, err, want)
		}
	}
}

func TestUnreasonableNumbersAreRefused(t *testing.T) {
	for _, in := range []string{
		"", "abc", "NaN", "Infinity", "1e400000000", "1e33", "1e-19", "0x10", "1,5",
		"123456789012345678901234567890123",
	} {
		if d, err := Parse(in); err == nil {
			t.Errorf("%q was taken for %s", in, d)
		}
	}
}

func TestSumsAreExact(t *testing.T) {
	var sum Decimal
	tenth, _ := Parse("0.1")
	for range 1000 {
		sum = sum.Add(tenth)
	}
	if got := sum.String(); got != "100.0" {
		t.Errorf("a thousand tenths are %s", got)
	}
	if sum.Add(sum.Neg()).Sign() != 0 {
		t.Error("a number and its negation do not cancel")
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"0", "-0.00", "1e3", "1e400000000", "12345678901234.56", "0e1", "\x00", "--1", "-0", "007.10", "1.", ".5", "-",
		"+1", "1.2.3", "123456789012345678", "9999999999999999.9",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if plain, ok := parsePlain(text); ok {
			var by apd.Decimal
			if _, _, slow := by.SetString(text); slow != nil || err != nil || plain.d.Cmp(&by) != 0 ||
				plain.d.Exponent != by.Exponent || plain.d.Negative != by.Negative {
				t.Errorf("%q was taken for %s (%v), apd says %s (%v)", text, plain, err, &by, slow)
			}
		}
		if err != nil {
			return
		}
		again, err := Parse(d.String())
		if err != nil || again.String() != d.String() {
			t.Errorf("%q became %q, which does not read back (%v)", text, d.String(), err)
		}
	})
}
