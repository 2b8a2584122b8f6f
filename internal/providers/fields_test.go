package providers

import (
	"slices"
	"testing"
)

func TestFieldsThatAProviderNames(t *testing.T) {
	names := FieldNames{
		"name": "partner_bank.display_name", "redirecturl": "consent.redirect_uris.success",
		"address": "shipment.address", "address.city": "shipment.address.city", "brokerbanks": "consent.broker_banks",
	}
	for message, want := range map[string][]string{
		"name is required":                           {"partner_bank.display_name"},
		"Name must be a string":                      {"partner_bank.display_name"},
		"redirectUrl must be a URL address":          {"consent.redirect_uris.success"},
		"property name should not exist":             {"partner_bank.display_name"},
		"address.city is too long":                   {"shipment.address.city"},
		"address.postcode is too long":               {"shipment.address"},
		"brokerBanks[0].name must be a string":       {"consent.broker_banks"},
		"brokerBanks.0.name must be a string":        {"consent.broker_banks"},
		`invalid input: "redirectURL" is no address`: {"consent.redirect_uris.success"},
		"missing 'name' and `redirectURL`":           {"partner_bank.display_name", "consent.redirect_uris.success"},
		"the name of the customer is not known":      nil, // a word of a sentence
		"not found":                                  nil,
		"\"Elin Sandström\" has no such thing":       nil,
		"":                                           nil,
	} {
		if got := names.In(message); !slices.Equal(got, want) {
			t.Errorf("%q names %v, want %v", message, got, want)
		}
	}
	if got := names.In("name is required", "name is too short", "address is required"); !slices.Equal(got,
		[]string{"partner_bank.display_name", "shipment.address"}) {
		t.Errorf("several messages name %v", got)
	}
}
