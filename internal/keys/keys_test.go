package keys_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/secret"
)

func newKey(t *testing.T) secret.String {
	t.Helper()
	key, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func parse(t *testing.T, key secret.String) *keys.Keys {
	t.Helper()
	k, err := keys.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedOpensOnlyForWhatItWasSealedFor(t *testing.T) {
	k, other := parse(t, newKey(t)), parse(t, newKey(t))
	plain := []byte("a token of the provider's")
	sealed, err := k.Seal(keys.ProviderState, "default", "consents/1", plain)
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.Seal(keys.ProviderState, "default", "consents/1", plain)
	if err != nil || bytes.Equal(sealed, again) || bytes.Contains(sealed, plain) {
		t.Fatalf("sealing twice gives the same bytes, or the plain text shows: %v", err)
	}
	if got, err := k.Open(keys.ProviderState, "default", "consents/1", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("%q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) {
			return k.Open(keys.ConsentReference, "default", "consents/1",
				sealed)
		},
		"another tenant": func() ([]byte, error) { return k.Open(keys.ProviderState, "acme", "consents/1", sealed) },
		"another resource": func() ([]byte, error) {
			return k.Open(keys.ProviderState, "default", "consents/2",
				sealed)
		},
		"shifted parts": func() ([]byte, error) {
			return k.Open(keys.ProviderState, "defaultc", "onsents/1",
				sealed)
		},
		"another key": func() ([]byte, error) {
			return other.Open(keys.ProviderState, "default", "consents/1",
				sealed)
		},
		"a changed byte": func() ([]byte, error) {
			changed := bytes.Clone(sealed)
			changed[len(changed)-1] ^= 1
			return k.Open(keys.ProviderState, "default", "consents/1", changed)
		},
		"no key": func() ([]byte, error) {
			return parse(t, secret.String{}).Open(keys.ProviderState, "default", "consents/1", sealed)
		},
	} {
		if got, err := open(); err == nil {
			t.Errorf("%s opens it: %q", name, got)
		}
	}
}

func TestWithoutAKeyNothingIsSealed(t *testing.T) {
	for _, k := range []*keys.Keys{nil, parse(t, secret.String{}), parse(t, secret.New(""))} {
		if _, err := k.Seal(keys.ProviderState, "t", "r", []byte("x")); !errors.Is(err, keys.ErrNoKey) || k.CanSeal() {
			t.Errorf("sealed without a key: %v", err)
		}
		if sealed, err := k.Seal(keys.ProviderState, "t", "r", nil); err != nil || sealed != nil {
			t.Errorf("nothing became %v, %v", sealed, err)
		}
	}
}

// A keyset whose newest key is another still opens what the older one sealed.
func TestRotatedKeysetsOpenWhatOlderKeysSealed(t *testing.T) {
	first := newKey(t)
	sealed, err := parse(t, first).Seal(keys.ProviderState, "t", "r", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(first.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.SetPrimary(id); err != nil {
		t.Fatal(err)
	}
	if handle, err = manager.Handle(); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&text)); err != nil {
		t.Fatal(err)
	}
	rotated := parse(t, secret.New(base64.RawURLEncoding.EncodeToString(text.Bytes())))
	if got, err := rotated.Open(keys.ProviderState, "t", "r", sealed); err != nil || string(got) != "x" {
		t.Fatalf("%q, %v", got, err)
	}
	if resealed, err := rotated.Seal(keys.ProviderState, "t", "r", []byte("x")); err != nil {
		t.Fatal(err)
	} else if _, err := parse(t, first).Open(keys.ProviderState, "t", "r", resealed); err == nil {
		t.Error("new text is still sealed with the old key")
	}
}

func TestBadKeysAreRefusedWithoutQuotingThem(t *testing.T) {
	good := newKey(t).Reveal()
	for _, text := range []string{
		"x", "not a key at all", good[:len(good)/2], strings.Repeat("A", 100), "Z" + good[1:],
	} {
		_, err := keys.Parse(secret.New(text))
		if err == nil {
			t.Errorf("a text of %d bytes was taken for a key", len(text))
		} else if len(text) > 1 && strings.Contains(err.Error(), text) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
}

func TestLookups(t *testing.T) {
	k := parse(t, secret.String{})
	one := k.Lookup(keys.CustomerReference, "default", "4711")
	if !bytes.Equal(one,
		k.Lookup(keys.CustomerReference, "default", "4711")) || len(one) != 32 || bytes.Contains(one, []byte("4711")) {
		t.Fatal("the same text is not found again")
	}
	for name, other := range map[string][]byte{
		"another text":    k.Lookup(keys.CustomerReference, "default", "4712"),
		"another tenant":  k.Lookup(keys.CustomerReference, "acme", "4711"),
		"another purpose": k.Lookup(keys.ConsentReference, "default", "4711"),
		"shifted parts":   k.Lookup(keys.CustomerReference, "default4", "711"),
	} {
		if bytes.Equal(one, other) {
			t.Errorf("%s gives the same lookup", name)
		}
	}
	if k.Lookup(keys.CustomerReference, "default", "") != nil {
		t.Error("there is a lookup for nothing")
	}
}

func TestMACs(t *testing.T) {
	k := keys.Fresh()
	one := k.MAC(keys.AuditChain, "default", []byte("a"), []byte("bc"))
	if len(one) != 32 || !bytes.Equal(one, k.MAC(keys.AuditChain, "default", []byte("a"), []byte("bc"))) {
		t.Fatal("the same parts give another hash")
	}
	for name, other := range map[string][]byte{
		"another tenant":  k.MAC(keys.AuditChain, "acme", []byte("a"), []byte("bc")),
		"shifted parts":   k.MAC(keys.AuditChain, "default", []byte("ab"), []byte("c")),
		"a further part":  k.MAC(keys.AuditChain, "default", []byte("a"), []byte("bc"), nil),
		"another store":   keys.Fresh().MAC(keys.AuditChain, "default", []byte("a"), []byte("bc")),
		"tenant as parts": k.MAC(keys.AuditChain, "", []byte("default"), []byte("a"), []byte("bc")),
	} {
		if bytes.Equal(one, other) {
			t.Errorf("%s gives the same hash", name)
		}
	}
}
