package service_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
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
