// Package psu tells whether two descriptions of a person or company are of the same one, without either being kept. It
// brings ids and names into one form, so that they can be compared by hashes of that form.
//
// PSU is PSD2's word for whose bank data it is: the payment service user.
package psu

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// Identity is what is known of who somebody is. All texts are in the form that NationalID, CompanyID, Name and Names
// give; an empty one, or an empty list, is not known.
type Identity struct {
	NationalID string
	CompanyID  string
	// Names are the names of all who could be meant: an account may have two owners.
	Names []string
	// Authenticated says that the ids are those of who authenticated at the bank. Otherwise they may be a mere echo of
	// what was asked for: where they are equal, that proves nothing.
	Authenticated bool
}

// NationalID gives a national id in one form for all its spellings. A Swedish personnummer comes with or without its
// century and its separator: the last ten digits tell people apart who were not born a hundred years from each other.
// The separator of a Finnish henkilötunnus tells the century, and stays.
func NationalID(market, text string) string {
	id := strings.ToUpper(strings.Join(strings.Fields(text), ""))
	if market != "SE" {
		return id
	}
	digits := onlyDigits(id)
	if len(digits) != 10 && len(digits) != 12 {
		return id
	}
	return digits[len(digits)-10:]
}

// CompanyID gives a company's number in one form for all its spellings: 556987-6542 and 165569876542 are one Swedish
// organisationsnummer, and 1234567-8 and 12345678 one Finnish Y-tunnus.
func CompanyID(market, text string) string {
	id := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(text)))
	if market == "SE" && len(id) == 12 && onlyDigits(id) == id {
		return id[2:]
	}
	return id
}

func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

// Name gives a name in one form for all its spellings: the order of its words, capitals, accents and titles make no
// difference. A name of one word is none: too many have it.
func Name(parts ...string) string {
	words := words(strings.Join(parts, " "))
	if len(words) < 2 {
		return ""
	}
	return strings.Join(words, " ")
}

// Names gives the names that stand in what a bank writes as the owner of an account: "Berg, Anna u. Lars Olsen" are
// two.
func Names(owner string) []string {
	var names []string
	for _, one := range splitOwners(owner) {
		if name := Name(one); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// between are the words that stand between two owners.
var between = []string{"und", "u.", "u", "and", "och", "ja", "&", "+"}

func splitOwners(owner string) []string {
	owners := []string{""}
	for word := range strings.FieldsSeq(strings.NewReplacer("/", " & ", ";", " & ", "&", " & ").Replace(owner)) {
		if slices.Contains(between, strings.ToLower(word)) {
			owners = append(owners, "")
			continue
		}
		owners[len(owners)-1] += " " + word
	}
	return owners
}

// titles are not part of a name.
var titles = map[string]bool{
	"dr": true, "prof": true, "herr": true, "frau": true, "mr": true, "mrs": true, "ms": true, "med": true,
	"phil": true, "ing": true, "dipl": true,
}

// letters are spelled in two ways where an alphabet lacks them. What has an accent only is rid of it after these.
var letters = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "å", "aa", "æ", "ae", "ø", "oe")

// words gives the words of a name, sorted.
func words(name string) []string {
	plain := transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC)
	name, _, _ = transform.String(plain, letters.Replace(strings.ToLower(norm.NFC.String(name))))
	found := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	found = slices.DeleteFunc(found, func(word string) bool { return titles[word] })
	slices.Sort(found)
	return found
}
