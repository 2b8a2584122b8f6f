package service_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/service"
)

// A token is good for the query that it came from, in every process that has the store, and nobody reads or makes one.
func TestTokens(t *testing.T) {
	k := keys.Fresh()
	here, there := service.Tokens{Keys: k}, service.Tokens{Keys: k}
	token := here.Encode("cursor-4711", "default", "consents", "loan")
	if got, err := there.Decode(token, "pageToken", "default", "consents", "loan"); got != "cursor-4711" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if there.Encode("cursor-4711", "default", "consents", "loan") != token {
		t.Error("the same place has two tokens")
	}
	if got, err := here.Decode("", "pageToken", "default"); got != "" || err != nil {
		t.Errorf("no token: %q, %v", got, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || bytes.Contains(raw, []byte("4711")) {
		t.Errorf("the cursor shows, %v", err)
	}
	forged := base64.RawURLEncoding.EncodeToString(append(bytes.Clone(raw[:len(raw)-1]), raw[len(raw)-1]^1))
	stranger := service.Tokens{Keys: keys.Fresh()}
	for what, decode := range map[string]func() (string, error){
		"another tenant": func() (string, error) { return here.Decode(token, "pageToken", "acme", "consents", "loan") },
		"another query":  func() (string, error) { return here.Decode(token, "pageToken", "default", "consents", "x") },
		"shifted parts":  func() (string, error) { return here.Decode(token, "pageToken", "default", "consentsloan") },
		"a changed byte": func() (string, error) { return here.Decode(forged, "pageToken", "default", "consents", "loan") },
		"a word":         func() (string, error) { return here.Decode("word", "pageToken", "default", "consents", "loan") },
		"no base64":      func() (string, error) { return here.Decode("%", "pageToken", "default", "consents", "loan") },
		"another store": func() (string, error) {
			return stranger.Decode(token, "pageToken", "default", "consents", "loan")
		},
	} {
		if got, err := decode(); kerr.Reason(err) != errorv1.Error_INVALID_FIELD || got != "" {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

// Names are the same for the same thing, and others in another store.
func TestNames(t *testing.T) {
	k := keys.Fresh()
	here, again, stranger := service.Names{Keys: k}, service.Names{Keys: k}, service.Names{Keys: keys.Fresh()}
	name := here.Account("default", "consent", "1234567")
	if name != again.Account("default", "consent", "1234567") {
		t.Error("the same account has two names")
	}
	for what, other := range map[string]string{
		"another account": here.Account("default", "consent", "1234568"),
		"another consent": here.Account("default", "another", "1234567"),
		"another tenant":  here.Account("acme", "consent", "1234567"),
		"a connection":    here.Connection("default", "consent", "1234567"),
		"another store":   stranger.Account("default", "consent", "1234567"),
	} {
		if service.LastSegment(other) == service.LastSegment(name) {
			t.Errorf("%s has the same segment", what)
		}
	}
	if here.Child("t", name, "transactions", "1") == stranger.Child("t", name, "transactions", "1") {
		t.Error("another store names a transaction alike")
	}
}

// An account has one fingerprint, however its number is written and whoever tells it.
func TestFingerprints(t *testing.T) {
	k := keys.Fresh()
	here, again, stranger := service.Names{Keys: k}, service.Names{Keys: k}, service.Names{Keys: keys.Fresh()}
	iban := here.Fingerprint("default", "DE84 1002 0000 7791 5875 78", "", "")
	number := here.Fingerprint("default", "", "Nordisk Sparbank", "8327-9, 123 456")
	for what, same := range map[string][2]string{
		"without blanks":      {iban, again.Fingerprint("default", "de84100200007791587578", "", "")},
		"whatever the bank":   {iban, here.Fingerprint("default", "DE84100200007791587578", "fino Bank", "7791587578")},
		"as a number":         {iban, here.Fingerprint("default", "", "fino", "DE84 1002 0000 7791 5875 78")},
		"of a number":         {number, here.Fingerprint("default", "", "NORDISK SPARBANK ", "83279123456")},
		"nothing":             {"", here.Fingerprint("default", " ", "Nordisk Sparbank", "--")},
		"a number of no bank": {"", here.Fingerprint("default", "", "", "83279123456")},
	} {
		if same[0] != same[1] {
			t.Errorf("%s: %q and %q", what, same[0], same[1])
		}
	}
	for what, other := range map[string]string{
		"another bank's": here.Fingerprint("default", "", "Andra Sparbanken", "83279123456"),
		"a tenant's":     here.Fingerprint("acme", "", "Nordisk Sparbank", "83279123456"),
		"a store's":      stranger.Fingerprint("default", "", "Nordisk Sparbank", "83279123456"),
		"an IBAN's":      iban,
	} {
		if other == number || other == "" {
			t.Errorf("%s: %q", what, other)
		}
	}
}

// request asks for a page.
type request struct {
	size  int32
	token string
}

func (r request) GetPageSize() int32   { return r.size }
func (r request) GetPageToken() string { return r.token }

// A list that Kontor holds itself goes on behind the last one seen, whatever came and went.
func TestSlicePage(t *testing.T) {
	tokens := service.Tokens{Keys: keys.Fresh()}
	ctx := identity.With(t.Context(), identity.Identity{Tenant: "default", ClientID: "lending"})
	list := func(names ...string) (all []*providerv1.Provider) {
		for _, name := range names {
			all = append(all, &providerv1.Provider{Name: name})
		}
		return all
	}
	_, next, err := service.SlicePage(tokens, list("a", "b", "c"), request{size: 2}, service.PageScope(ctx, "list"))
	if next == nil || err != nil {
		t.Fatal(next, err)
	}
	second := request{token: *next}
	page, last, err := service.SlicePage(tokens, list("0", "b", "c"), second, service.PageScope(ctx, "list"))
	if len(page) != 1 || page[0].GetName() != "c" || last != nil || err != nil {
		t.Errorf("the second page is %v, %v, %v", page, last, err)
	}
	_, _, err = service.SlicePage(tokens, list("a", "c"), second, service.PageScope(ctx, "list"))
	if kerr.Reason(err) != errorv1.Error_PAGE_TOKEN_EXPIRED {
		t.Errorf("when the last one seen is gone: %v", err)
	}
	for what, scope := range map[string][]string{
		"another list":  service.PageScope(ctx, "other"),
		"another query": service.PageScope(ctx, "list", "query"),
		"another client": service.PageScope(
			identity.With(ctx, identity.Identity{Tenant: "default", ClientID: "other"}), "list"),
		"another tenant": service.PageScope(
			identity.With(ctx, identity.Identity{Tenant: "acme", ClientID: "lending"}), "list"),
	} {
		if _, _, err := service.SlicePage(tokens, list("b", "c"), second, scope); kerr.Reason(err) !=
			errorv1.Error_INVALID_FIELD {
			t.Errorf("%s: %v", what, err)
		}
	}
	for asked, size := range map[int32]int{0: 100, 1: 1, 1000: 1000, 1001: 1000, 1 << 30: 1000} {
		if got := service.PageSize(asked); got != size {
			t.Errorf("a page of %d has %d", asked, got)
		}
	}
}

// Nobody makes a token.
func FuzzPageToken(f *testing.F) {
	tokens := service.Tokens{Keys: keys.Fresh()}
	scope := service.PageScope(f.Context(), "list")
	good := tokens.Encode("12", scope...)
	for _, seed := range []string{"", good, good[1:], good + "A", "word", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		number, err := tokens.Number(request{token: token}, 0, scope)
		switch {
		case token == "" && number == 0 && err == nil, token == good && number == 12 && err == nil:
		case kerr.Reason(err) != errorv1.Error_INVALID_FIELD:
			t.Errorf("%q is taken as %d, %v", token, number, err)
		}
	})
}
