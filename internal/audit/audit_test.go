package audit

import "testing"

// TestRecordable holds that no name gets into the audit further than Kontor could have given it out.
func TestRecordable(t *testing.T) {
	const id = "0195d0a8-0000-7000-8000-000000000000"
	for name, want := range map[string]string{
		"":                                    "",
		"customers/" + id:                     "customers/" + id,
		"customers/199503096316":              "",
		"customers/Anna":                      "",
		"consents/" + id + "/accounts/-":      "consents/" + id + "/accounts/-",
		"consents/" + id + "/insights":        "consents/" + id,
		"consents/" + id + "/accounts/SE4550": "consents/" + id,
		"consents/" + id + "/accounts/abcdefghijklmnopqrstuvwx": "consents/" + id +
			"/accounts/abcdefghijklmnopqrstuvwx",
		"consents/" + id + "x":                  "",
		"partnerBanks/605c6c479691950d359bb0e9": "partnerBanks/605c6c479691950d359bb0e9",
		"providers/finoos":                      "providers/finoos",
	} {
		if got := recordable(name); got != want {
			t.Errorf("%s is recorded as %q, want %q", name, got, want)
		}
	}
}
