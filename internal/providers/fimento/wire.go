package fimento

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// The structs whose names begin with wire are Fimento's JSON, for both directions. They are tolerant: unknown fields
// are ignored, null counts as missing, and the types below take what the documentation's samples show beside what its
// prose says. Of who the customer is (socialSecurityNumber, companyId, firstName, lastName) only the ids of a process
// are read, to be compared. An answer's check says what it must have to mean anything.
//
// What is large or asked for often is read by the tables beside the structs: insights, the accounts in them, and
// transactions. All else is read by encoding/json.

// decoder gives an answer's tokens as it arrives.
type decoder = jsonread.Decoder

// text is a string. A number, or true or false, is taken as its text: account numbers consist of digits.
type text string

// UnmarshalJSON reads any scalar.
func (t *text) UnmarshalJSON(data []byte) error {
	switch {
	case string(data) == "null":
		return nil
	case data[0] == '{' || data[0] == '[':
		return errScalar
	case data[0] == '"':
		*t = text(jsonread.Text(data))
		return nil
	}
	*t = text(data)
	return nil
}

// instant is a point in time. What cannot be read as one counts as not told: a time is never worth losing a status for.
type instant struct{ time.Time }

// UnmarshalJSON reads RFC 3339 in all its forms.
func (i *instant) UnmarshalJSON(data []byte) error {
	var written string
	if json.Unmarshal(data, &written) == nil {
		i.Time, _ = parseInstant(written)
	}
	return nil
}

// parseInstant reads RFC 3339: Z or an offset, with or without a fraction. Years that a protobuf Timestamp cannot carry
// in every zone do not count.
func parseInstant(written string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(written))
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9998 {
		return time.Time{}, false
	}
	return t, true
}

// amount is a decimal. Fimento computes sums in binary floating point, which leaves residues such as
// 2.8421709430404007e-14 where zero is meant; digits beyond the eighteenth after the point are rounded away, since
// Money has no room for them. All others are exact.
type amount struct{ money.Decimal }

const maxAmountText, maxScale = 64, 18

// UnmarshalJSON reads a JSON number, or a string that holds one.
func (a *amount) UnmarshalJSON(data []byte) error {
	if a.Decimal.UnmarshalJSON(data) == nil {
		return nil
	}
	written := strings.Trim(string(data), `"`)
	if len(written) > maxAmountText {
		return money.ErrInvalid
	}
	d, _, err := apd.NewFromString(written)
	if err != nil || d.Exponent >= -maxScale { // nothing to round: the number is too large, or none
		return money.ErrInvalid
	}
	rounding := apd.BaseContext.WithPrecision(2 * maxAmountText)
	rounding.Rounding = apd.RoundHalfEven
	if _, err := rounding.Quantize(d, d, -maxScale); err != nil {
		return money.ErrInvalid
	}
	a.Decimal, err = money.Parse(d.Text('f'))
	return err
}

// required is a list that an answer must have. Its zero value says that the answer left it out; null is a list without
// entries. An answer without its list must not be taken for an empty list: then everything would seem to be gone.
type required[T any] struct {
	given bool
	list  []T
}

// UnmarshalJSON reads the list.
func (r *required[T]) UnmarshalJSON(data []byte) error {
	r.given = true
	return json.Unmarshal(data, &r.list)
}

// readList reads a list that an answer must have.
func readList[T any](d *decoder, into *required[T], read func(*decoder, *T) error) error {
	into.given = true
	return jsonread.Slice(d, &into.list, read)
}

// readAmount reads an amount that may be missing.
func readAmount(d *decoder, into **amount) error {
	return jsonread.Pointer(d, into, func(d *decoder, into *amount) error { return jsonread.Value(d, into) })
}

// checkAs wants the list, which is the field of an answer.
func (r *required[T]) checkAs(field string) error {
	if !r.given {
		return missing(field)
	}
	return nil
}

// marketOf gives the market of a consent; the first one when it is not known.
func marketOf(ref providers.ConsentRef) providers.Market {
	for _, market := range markets {
		if market.Code == ref.Market {
			return market
		}
	}
	return markets[0]
}

// money gives the amount in the market's currency, since Fimento names none; nil for one that is missing.
func (a *amount) money(market providers.Market) *typev1.Money {
	if a == nil {
		return nil
	}
	return a.Money(market.CurrencyCode)
}

// outflow gives the amount as one that leaves the account, whichever sign the provider gave it: the list or sum that it
// stands in says so.
func (a *amount) outflow() *amount {
	if a == nil || a.Sign() <= 0 {
		return a
	}
	return &amount{a.Neg()}
}

// localPattern is a plain date, or a time without a zone.
var localPattern = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}\S*)?$`)

// dateOf gives the date of an instant in the market's zone. A plain date, and a time that names no zone, are the
// market's already. Anything else is "".
func dateOf(written text, market providers.Market) string {
	if t, ok := parseInstant(string(written)); ok {
		return t.In(market.Location).Format(time.DateOnly)
	}
	match := localPattern.FindStringSubmatch(strings.TrimSpace(string(written)))
	if match == nil {
		return ""
	}
	if _, err := time.Parse(time.DateOnly, match[1]); err != nil {
		return ""
	}
	return match[1]
}

// decimal reads back an amount that this file wrote; a missing one is 0.
func decimal(amount *typev1.Money) money.Decimal {
	d, _ := money.Parse(amount.GetValue())
	return d
}

// dates is dateOf for many in one market: transactions of one day stand together, so it remembers the last one. To work
// each of them out was a sixth of a transaction's time.
type dates struct {
	market  providers.Market
	written text
	date    string
}

func (d *dates) of(written text) string {
	if written != d.written {
		d.written, d.date = written, dateOf(written, d.market)
	}
	return d.date
}

// told gives a text for an optional field: absent when Fimento does not tell it.
func told[T ~string](t T) *string { return optional.Of(string(t)) }
