package psu_test

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/psu"
)

// Each line holds spellings of one thing; no two lines are of the same.
func TestSpellings(t *testing.T) {
	forms := map[string]func(string) string{
		"national id, SE": func(text string) string { return psu.NationalID("SE", text) },
		"national id, FI": func(text string) string { return psu.NationalID("FI", text) },
		"company id, SE":  func(text string) string { return psu.CompanyID("SE", text) },
		"company id, FI":  func(text string) string { return psu.CompanyID("FI", text) },
		"name":            func(text string) string { return psu.Name(text) },
	}
	for kind, lines := range map[string][]string{
		"national id, SE": {
			"199503096316|19950309-6316|9503096316|950309-6316| 19950309 6316 ", "197710114682|771011-4682",
			"TS-12345|ts-12345",
		},
		"national id, FI": {"131052-308T|131052-308t| 131052-308T", "131052A308T"},
		"company id, SE":  {"556987-6542|5569876542|165569876542|16556987-6542", "5569876543"},
		"company id, FI":  {"1234567-8|12345678", "1234567-9"},
		"name": {
			"Max Mustermann|MUSTERMANN, Max|Herr Dr. Max Mustermann|max  mustermann", "Max Erik Mustermann",
			"Jörg Müller-Lüdenscheidt|Joerg Mueller Luedenscheidt|MUELLER-LUEDENSCHEIDT JOERG",
			"Åsa Öberg|Aasa Oeberg|A\u030asa O\u0308berg", "José Peña|Jose Pena",
			"Mustermann|Dr. Mustermann|", // too little to tell who it is
		},
	} {
		seen := map[string]string{}
		for _, line := range lines {
			spellings := strings.Split(line, "|")
			want := forms[kind](spellings[0])
			for _, text := range spellings {
				if got := forms[kind](text); got != want {
					t.Errorf("%s: %q is %q, and %q is %q", kind, text, got, spellings[0], want)
				}
			}
			if other, taken := seen[want]; taken {
				t.Errorf("%s: %q and %q are both %q", kind, spellings[0], other, want)
			}
			seen[want] = spellings[0]
		}
	}
	if got := psu.Name("Mustermann"); got != "" {
		t.Errorf("one word is the name %q", got)
	}
}

func TestOwners(t *testing.T) {
	for owner, want := range map[string][]string{
		"Berg, Anna u. Lars Olsen": {"anna berg", "lars olsen"}, "Anna & Lars Berg": {"berg lars"},
		"A. Berg/L. Berg": {"a berg", "berg l"}, "Undine Berg": {"berg undine"}, "": nil, "GmbH": nil,
		"Anna Berg und Anna Berg": {"anna berg"},
	} {
		if got := psu.Names(owner); !slices.Equal(got, want) {
			t.Errorf("%q is owned by %q, want %q", owner, got, want)
		}
	}
}

func hash(kind, text string) []byte {
	sum := sha256.Sum256([]byte(kind + "\x00" + text))
	return sum[:]
}

func TestCompare(t *testing.T) {
	const matched, different, unknown = consentv1.IdentityMatch_MATCHED, consentv1.IdentityMatch_DIFFERENT,
		consentv1.IdentityMatch_UNKNOWN
	person := &consentv1.Psu{NationalId: "199503096316", FirstName: "Elin", LastName: "Sandström"}
	company := &consentv1.Psu{CompanyId: "556987-6542"}
	for _, test := range []struct {
		what  string
		asked *consentv1.Psu
		told  psu.Identity
		want  consentv1.IdentityMatch_Value
	}{
		{"nothing was asked", nil, psu.Identity{NationalID: "9503096316", Authenticated: true}, unknown},
		{"nothing is told", person, psu.Identity{Authenticated: true}, unknown},
		{"an echo", person, psu.Identity{NationalID: "9503096316"}, unknown},
		{"the same id", person, psu.Identity{NationalID: "9503096316", Authenticated: true}, matched},
		{"another id", person, psu.Identity{NationalID: "7710114682", Authenticated: true}, different},
		{"another id, whosever", person, psu.Identity{NationalID: "7710114682"}, different},
		{"another id of the same name", person, psu.Identity{
			NationalID: "7710114682", Names: []string{"elin sandstroem"},
		}, different},
		{"the same id, another company", &consentv1.Psu{NationalId: "199503096316", CompanyId: "556987-6542"},
			psu.Identity{NationalID: "9503096316", CompanyID: "5569876543", Authenticated: true}, different},
		{"a company", company, psu.Identity{CompanyID: "5569876542", Authenticated: true}, matched},
		{"a person for a company", company, psu.Identity{NationalID: "5569876542", Authenticated: true}, unknown},
		{"one of two owners", person, psu.Identity{Names: []string{"lars olsen", "elin sandstroem"}}, matched},
		{"other owners", person, psu.Identity{Names: []string{"lars olsen"}}, unknown},
		{"no name was asked", company, psu.Identity{Names: []string{""}}, unknown},
	} {
		asked, err := psu.ParseAsked(psu.Ask("SE", test.asked, hash).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got := asked.Compare(test.told, hash); got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
	}
	if kept := string(psu.Ask("SE", person, hash).Bytes()); strings.Contains(kept, "9503096316") ||
		strings.Contains(kept, "sandstr") {
		t.Error("what is kept quotes what was asked")
	}
	if kept := psu.Ask("SE", nil, hash).Bytes(); kept != nil {
		t.Errorf("of nobody %q is kept", kept)
	}
}
