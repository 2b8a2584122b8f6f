package finoos

import (
	"errors"
	"net/url"
	"testing"

	"kontor.dev/kontor/internal/providers"
)

// The page adds userID to the address; who wrote it there cannot be told. Another user's is refused however it is
// spelled, and none is taken.
func TestRedirectsAreOfTheirUser(t *testing.T) {
	callbacks := newFake(t).provider().Callbacks
	if callbacks.Webhook != nil {
		t.Error("finoOS calls no webhook")
	}
	for query, taken := range map[string]bool{
		"":                                     true,
		"state=1":                              true,
		"userID=":                              true,
		"userID=" + testUser:                   true,
		"USERid=" + testUser + "&x=y":          true,
		"userID=other":                         false,
		"userid=other":                         false,
		"userID=" + testUser + "&userid=other": false,
		"userID=" + testUser + "&userID=other": false,
		"userID=" + testUser + "&USERID=" + testUser: true,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		for _, outcome := range []providers.Outcome{
			providers.OutcomeSuccess, providers.OutcomeError, providers.OutcomeExit,
		} {
			back, err := callbacks.Redirect(t.Context(), testRef, outcome, values)
			if errors.Is(err, providers.ErrForeign) == taken || back.Ref != nil {
				t.Errorf("%s with %q: %v, %v", outcome, query, back, err)
			}
		}
	}
}

func TestReportsSayWhatBecameOfAShipment(t *testing.T) {
	report := newFake(t).provider().Callbacks.Report
	for query, want := range map[string]struct{ delivered, taken bool }{
		"requestid=s1&success=true":                {true, true},
		"requestID=s1&Success=TRUE":                {true, true},
		"requestid=s1&success=false":               {false, true},
		"requestid=s2&success=true":                {},
		"success=true":                             {},
		"requestid=s1":                             {},
		"requestid=s1&success=yes":                 {},
		"requestid=s1&success=true&success=false":  {},
		"requestid=s1&requestID=s2&success=true":   {},
		"requestid=s1&success=false&Success=false": {false, true},
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		delivered, err := report(t.Context(), "s1", values, nil)
		if delivered != want.delivered || errors.Is(err, providers.ErrForeign) == want.taken {
			t.Errorf("%q: %t, %v", query, delivered, err)
		}
	}
}

// FuzzCallbacks: whatever stands in a query, only what is about the user and the shipment is taken.
func FuzzCallbacks(f *testing.F) {
	f.Add("userID=u&requestid=s&success=true")
	f.Add("USERID=u&userid=v&%zz")
	f.Fuzz(func(t *testing.T, query string) {
		values, _ := url.ParseQuery(query)
		user, ok := param(values, "userID")
		_, err := redirect(t.Context(), providers.ConsentRef{ID: "u"}, providers.OutcomeSuccess, values)
		if taken := err == nil; taken != (ok && (user == "" || user == "u")) {
			t.Errorf("%q is taken: %t", query, taken)
		}
		delivered, err := report(t.Context(), "s", values, nil)
		if delivered && (err != nil || len(values) < 2) {
			t.Errorf("%q is delivered, %v", query, err)
		}
	})
}
