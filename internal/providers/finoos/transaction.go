package finoos

import (
	"strings"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/money"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// wireTransaction is one transaction. transactions.go has how many are found below their accounts while they arrive.
type wireTransaction struct {
	ID          text             `json:"id"`
	AccountID   text             `json:"accountID,omitempty"`
	Amount      *money.Decimal   `json:"amount"`
	Currency    text             `json:"currency,omitempty"`
	Booked      *bool            `json:"booked,omitempty"`
	BookingDate text             `json:"bookingDate,omitempty"`
	ValueDate   text             `json:"valueDate,omitempty"`
	Purpose     text             `json:"purpose,omitempty"`
	MandateRef  text             `json:"mref,omitempty"`
	CounterPart *wireCounterPart `json:"counterPart,omitempty"`
	Codes       []wireCode       `json:"codes,omitempty"`
	Tags        []wireTag        `json:"tags,omitempty"`
}

var readTransaction = jsonread.Members[wireTransaction]{
	jsonread.At("id", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.ID) }),
	jsonread.At("amount", func(d *decoder, w *wireTransaction) error { return readAmount(d, &w.Amount) }),
	jsonread.At("currency", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.Currency) }),
	jsonread.At("booked", func(d *decoder, w *wireTransaction) error {
		return jsonread.Pointer(d, &w.Booked, jsonread.Bool)
	}),
	jsonread.At("bookingDate", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.BookingDate) }),
	jsonread.At("valueDate", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.ValueDate) }),
	jsonread.At("purpose", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.Purpose) }),
	jsonread.At("mref", func(d *decoder, w *wireTransaction) error { return jsonread.Value(d, &w.MandateRef) }),
	jsonread.At("counterPart", func(d *decoder, w *wireTransaction) error {
		return jsonread.Pointer(d, &w.CounterPart, readCounterPart)
	}),
	jsonread.At("codes", func(d *decoder, w *wireTransaction) error { return jsonread.Slice(d, &w.Codes, readCode) }),
	jsonread.At("tags", func(d *decoder, w *wireTransaction) error { return jsonread.Slice(d, &w.Tags, readTag) }),
}.Read

type wireCounterPart struct {
	Name       text `json:"name,omitempty"`
	IBAN       text `json:"iban,omitempty"`
	BIC        text `json:"bic,omitempty"`
	CreditorID text `json:"creditorId,omitempty"`
}

var readCounterPart = jsonread.Members[wireCounterPart]{
	jsonread.At("name", func(d *decoder, w *wireCounterPart) error { return jsonread.Value(d, &w.Name) }),
	jsonread.At("iban", func(d *decoder, w *wireCounterPart) error { return jsonread.Value(d, &w.IBAN) }),
	jsonread.At("bic", func(d *decoder, w *wireCounterPart) error { return jsonread.Value(d, &w.BIC) }),
	jsonread.At("creditorId", func(d *decoder, w *wireCounterPart) error { return jsonread.Value(d, &w.CreditorID) }),
}.Read

type wireCode struct {
	Type  text `json:"type"`
	Value text `json:"value"`
}

var readCode = jsonread.Members[wireCode]{
	jsonread.At("type", func(d *decoder, w *wireCode) error { return jsonread.Value(d, &w.Type) }),
	jsonread.At("value", func(d *decoder, w *wireCode) error { return jsonread.Value(d, &w.Value) }),
}.Read

type wireTag struct {
	Name   text `json:"name"`
	Source text `json:"source,omitempty"`
}

var readTag = jsonread.Members[wireTag]{
	jsonread.At("name", func(d *decoder, w *wireTag) error { return jsonread.Value(d, &w.Name) }),
	jsonread.At("source", func(d *decoder, w *wireTag) error { return jsonread.Value(d, &w.Source) }),
}.Read

// transactionOf maps a transaction on an account of that currency. The transaction's own accountID is not looked at:
// the documentation shows some that match no account.
//
// What it makes points into w, which saves a copy of each text's header: w must not be used for another transaction.
func transactionOf(w *wireTransaction, accountCurrency text, dates *dates) *bankingv1.Transaction {
	t := &bankingv1.Transaction{
		Status:                bankingv1.Transaction_BOOKED,
		Amount:                moneyOf(w.Amount, currencyOf(w.Currency, accountCurrency)),
		BookingDate:           optional.Of(dates.of(w.BookingDate)),
		ValueDate:             optional.Of(dates.of(w.ValueDate)),
		RemittanceInformation: toldAt(&w.Purpose),
		MandateId:             toldAt(&w.MandateRef),
	}
	if w.Booked != nil && !*w.Booked {
		t.Status = bankingv1.Transaction_PENDING
	}
	if c := w.CounterPart; c != nil && *c != (wireCounterPart{}) {
		t.Counterparty = &bankingv1.Transaction_Counterparty{
			Name: toldAt(&c.Name), Iban: toldAt(&c.IBAN), Bic: toldAt(&c.BIC), CreditorId: toldAt(&c.CreditorID),
		}
	}
	for i := range w.Codes {
		code := &w.Codes[i]
		if code.Value == "" {
			continue
		}
		t.BankTransactionCodes = append(t.BankTransactionCodes, &bankingv1.Transaction_BankTransactionCode{
			Type: toldAt(&code.Type), Value: string(code.Value),
		})
		if t.GetEndToEndId() == "" && isEndToEnd(string(code.Type)) {
			t.EndToEndId = toldAt(&code.Value)
		}
	}
	if tags := tagsOf(w.Tags); len(tags) > 0 {
		purpose := purposeOf(tags, w.Amount == nil || w.Amount.Sign() >= 0)
		t.Tags, t.ProviderCategory = tags, &tags[0].Name
		t.Category, t.Subcategory = purpose.Category.Enum(), optional.Of(purpose.Subcategory)
	}
	return t
}

func isEndToEnd(codeType string) bool { return strings.Contains(strings.ToLower(codeType), "endtoend") }

func tagsOf(wire []wireTag) []*bankingv1.Transaction_Tag {
	var tags []*bankingv1.Transaction_Tag
	for i := range wire {
		tag := &wire[i]
		if tag.Name != "" {
			tags = append(tags, &bankingv1.Transaction_Tag{Name: string(tag.Name), Source: toldAt(&tag.Source)})
		}
	}
	return tags
}

// purposeOf takes the first label that Kontor knows, and what a further one says more exactly within its category.
func purposeOf(tags []*bankingv1.Transaction_Tag, received bool) providers.Purpose {
	found := providers.Purpose{Category: bankingv1.Category_OTHER}
	for _, tag := range tags {
		purpose := providers.PurposeOf(tag.GetName(), received)
		switch {
		case purpose.Category == bankingv1.Category_OTHER || purpose.Category == bankingv1.Category_VALUE_UNSPECIFIED:
		case found.Category == bankingv1.Category_OTHER, found.Category == purpose.Category &&
			found.Subcategory == bankingv1.Subcategory_VALUE_UNSPECIFIED:
			found = purpose
		}
	}
	return found
}
