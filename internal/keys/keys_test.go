package keys_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/secret"
)

// store keeps working keys in memory.
type store struct {
	mu      sync.Mutex
	wrapped map[keys.Purpose][]byte
	// waiting, when it is set, lets all who looked first go on at the same time.
	waiting *sync.WaitGroup
}

func (s *store) WorkingKeys(context.Context) (map[keys.Purpose][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.wrapped), nil
}

func (s *store) AddWorkingKeys(_ context.Context, wrapped map[keys.Purpose][]byte) error {
	if s.waiting != nil {
		s.waiting.Done()
		s.waiting.Wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for purpose, key := range wrapped {
		if _, ok := s.wrapped[purpose]; !ok {
			s.wrapped[purpose] = key
		}
	}
	return nil
}

func (s *store) RewrapWorkingKey(_ context.Context, purpose keys.Purpose, before, now []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Equal(s.wrapped[purpose], before) {
		s.wrapped[purpose] = now
	}
	return nil
}

func newStore() *store { return &store{wrapped: map[keys.Purpose][]byte{}} }

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func newKey(t *testing.T) secret.String {
	t.Helper()
	return must[secret.String](t)(keys.New())
}

func unlock(t *testing.T, s *store, text secret.String) *keys.Keys {
	t.Helper()
	return must[*keys.Keys](t)(must[*keys.StoreKey](t)(keys.Parse(text)).Unlock(t.Context(), s))
}

// newDataKey makes a data key, and sees that what made it seals for who reads it.
func newDataKey(t *testing.T, k *keys.Keys, tenant, owner string) []byte {
	t.Helper()
	made, wrapped, err := k.NewBox(tenant, owner)
	if err != nil {
		t.Fatal(err)
	}
	sealed := must[[]byte](t)(made.Seal([]byte("x"), "place"))
	if got, err := must[*keys.Box](t)(k.Box(tenant, owner, wrapped)).Open(sealed, "place"); string(got) != "x" {
		t.Fatalf("sealed with a new data key: %q, %v", got, err)
	}
	return wrapped
}

// mark is what the same keys give again, and no others.
func mark(k *keys.Keys) string { return string(k.MAC(keys.Names, "t", []byte("x"))) }

var allPurposes = []keys.Purpose{
	keys.Names, keys.Fingerprints, keys.References, keys.Requests, keys.Tokens, keys.AuditChain, keys.CustomerKeys,
	keys.Identities,
}

func TestSealedOpensOnlyWhereItWasSealed(t *testing.T) {
	k, other := keys.Fresh(), keys.Fresh()
	plain := []byte("a token of the provider's")
	wrapped := newDataKey(t, k, "default", "c-1")
	second := newDataKey(t, k, "default", "c-1")
	box := must[*keys.Box](t)(k.Box("default", "c-1", wrapped))
	sealed := must[[]byte](t)(box.Seal(plain, "consents.state", "1"))
	if again := must[[]byte](t)(box.Seal(plain, "consents.state", "1")); bytes.Equal(sealed, again) ||
		bytes.Contains(sealed, plain) {
		t.Fatal("sealing twice gives the same bytes, or the plain text shows")
	}
	open := func(k *keys.Keys, tenant, owner string, wrapped, sealed []byte, place ...string) ([]byte, error) {
		box, err := k.Box(tenant, owner, wrapped)
		if err != nil {
			return nil, err
		}
		return box.Open(sealed, place...)
	}
	if got, err := open(k, "default", "c-1", wrapped, sealed, "consents.state", "1"); err != nil ||
		!bytes.Equal(got, plain) {
		t.Fatalf("%q, %v", got, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, try := range map[string]func() ([]byte, error){
		"another tenant": func() ([]byte, error) {
			return open(k, "acme", "c-1", wrapped, sealed, "consents.state", "1")
		},
		"another owner": func() ([]byte, error) {
			return open(k, "default", "c-2", wrapped, sealed, "consents.state", "1")
		},
		"another data key": func() ([]byte, error) {
			return open(k, "default", "c-1", second, sealed, "consents.state", "1")
		},
		"an erased data key": func() ([]byte, error) {
			return open(k, "default", "c-1", nil, sealed, "consents.state", "1")
		},
		"another column": func() ([]byte, error) {
			return open(k, "default", "c-1", wrapped, sealed, "consents.resource", "1")
		},
		"another row": func() ([]byte, error) {
			return open(k, "default", "c-1", wrapped, sealed, "consents.state", "2")
		},
		"shifted parts": func() ([]byte, error) {
			return open(k, "default", "c-1", wrapped, sealed, "consents.state1")
		},
		"another store": func() ([]byte, error) {
			return open(other, "default", "c-1", wrapped, sealed, "consents.state", "1")
		},
		"a changed byte": func() ([]byte, error) {
			return open(k, "default", "c-1", wrapped, changed, "consents.state", "1")
		},
		"nothing": func() ([]byte, error) {
			return open(k, "default", "c-1", wrapped, nil, "consents.state", "1")
		},
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s opens it: %q", name, got)
		}
	}
}

func TestSealedForNobody(t *testing.T) {
	k := keys.Fresh()
	sealed := must[[]byte](t)(k.Seal(keys.Requests, "default", []byte("x"), "a", "b"))
	if got, err := k.Open(keys.Requests, "default", sealed, "a", "b"); err != nil || string(got) != "x" {
		t.Fatalf("%q, %v", got, err)
	}
	for name, try := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return k.Open(keys.Tokens, "default", sealed, "a", "b") },
		"another tenant":  func() ([]byte, error) { return k.Open(keys.Requests, "acme", sealed, "a", "b") },
		"another place":   func() ([]byte, error) { return k.Open(keys.Requests, "default", sealed, "ab") },
		"another store":   func() ([]byte, error) { return keys.Fresh().Open(keys.Requests, "default", sealed, "a", "b") },
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s opens it: %q", name, got)
		}
	}
}

func TestSealedTheSame(t *testing.T) {
	k := keys.Fresh()
	sealed := must[[]byte](t)(k.SealSame(keys.Tokens, "default", []byte("x"), "a", "b"))
	if again := must[[]byte](t)(k.SealSame(keys.Tokens, "default", []byte("x"), "a", "b")); !bytes.Equal(sealed, again) {
		t.Error("sealing twice gives other bytes")
	}
	if got, err := k.OpenSame(keys.Tokens, "default", sealed, "a", "b"); err != nil || string(got) != "x" {
		t.Fatalf("%q, %v", got, err)
	}
	for name, try := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return k.OpenSame(keys.Requests, "default", sealed, "a", "b") },
		"another tenant":  func() ([]byte, error) { return k.OpenSame(keys.Tokens, "acme", sealed, "a", "b") },
		"another place":   func() ([]byte, error) { return k.OpenSame(keys.Tokens, "default", sealed, "ab") },
		"another store":   func() ([]byte, error) { return keys.Fresh().OpenSame(keys.Tokens, "default", sealed, "a", "b") },
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s opens it: %q", name, got)
		}
	}
}

func TestMACs(t *testing.T) {
	k := keys.Fresh()
	for _, purpose := range allPurposes {
		one := k.MAC(purpose, "default", []byte("a"), []byte("bc"))
		if len(one) != 32 || !bytes.Equal(one, k.MAC(purpose, "default", []byte("a"), []byte("bc"))) {
			t.Fatal("the same parts give another hash")
		}
		others := map[string][]byte{
			"another tenant":  k.MAC(purpose, "acme", []byte("a"), []byte("bc")),
			"shifted parts":   k.MAC(purpose, "default", []byte("ab"), []byte("c")),
			"a further part":  k.MAC(purpose, "default", []byte("a"), []byte("bc"), nil),
			"another store":   keys.Fresh().MAC(purpose, "default", []byte("a"), []byte("bc")),
			"tenant as parts": k.MAC(purpose, "", []byte("default"), []byte("a"), []byte("bc")),
		}
		for _, other := range allPurposes {
			if other != purpose {
				others[string(other)] = k.MAC(other, "default", []byte("a"), []byte("bc"))
			}
		}
		for name, other := range others {
			if bytes.Equal(one, other) {
				t.Errorf("%s: %s gives the same hash", purpose, name)
			}
		}
	}
}

func TestLookups(t *testing.T) {
	k := keys.Fresh()
	one := k.Lookup(keys.CustomerReference, "default", "4711")
	for name, other := range map[string][]byte{
		"another text":    k.Lookup(keys.CustomerReference, "default", "4712"),
		"another tenant":  k.Lookup(keys.CustomerReference, "acme", "4711"),
		"another purpose": k.Lookup(keys.ConsentReference, "default", "4711"),
		"another store":   keys.Fresh().Lookup(keys.CustomerReference, "default", "4711"),
	} {
		if bytes.Equal(one, other) {
			t.Errorf("%s gives the same lookup", name)
		}
	}
	if k.Lookup(keys.CustomerReference, "default", "") != nil {
		t.Error("there is a lookup for nothing")
	}
}

// Processes that begin at the same time on an empty store end up with the same working keys.
func TestUnlockAtOnce(t *testing.T) {
	const processes = 8
	text, s := newKey(t), newStore()
	s.waiting = &sync.WaitGroup{}
	s.waiting.Add(processes) // all have found nothing before one of them adds its keys
	found := make([]*keys.Keys, processes)
	var running sync.WaitGroup
	for n := range processes {
		running.Go(func() {
			key, err := keys.Parse(text)
			if err == nil {
				found[n], err = key.Unlock(t.Context(), s)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	s.waiting = nil
	want := unlock(t, s, text)
	for n, k := range found {
		if k != nil && mark(k) != mark(want) {
			t.Errorf("process %d has keys of its own", n)
		}
	}
	if len(s.wrapped) != len(allPurposes) {
		t.Errorf("there are %d working keys, want %d", len(s.wrapped), len(allPurposes))
	}
}

// A store key is replaced in two steps, and nothing that was hashed or sealed changes.
func TestRotation(t *testing.T) {
	first, s := newKey(t), newStore()
	k := unlock(t, s, first)
	wrapped := newDataKey(t, k, "t", "c")
	before := maps.Clone(s.wrapped)

	both := must[secret.String](t)(keys.Rotate(first))
	if mark(unlock(t, s, both)) != mark(k) {
		t.Fatal("with the new key the hashes are others")
	}
	for purpose := range before {
		if bytes.Equal(before[purpose], s.wrapped[purpose]) {
			t.Errorf("%s is not wrapped anew", purpose)
		}
	}
	again := maps.Clone(s.wrapped)
	if unlock(t, s, both); !maps.EqualFunc(again, s.wrapped, bytes.Equal) {
		t.Error("what the newest key wrapped is wrapped anew at each start")
	}

	newest := must[secret.String](t)(keys.Newest(both))
	last := unlock(t, s, newest)
	if mark(last) != mark(k) {
		t.Fatal("without the old key the hashes are others")
	}
	if _, err := last.Box("t", "c", wrapped); err != nil {
		t.Errorf("a customer's key does not open: %v", err)
	}
	if len(newest.Reveal()) >= len(both.Reveal()) {
		t.Error("the old key is still there")
	}
	if _, err := must[*keys.StoreKey](t)(keys.Parse(first)).Unlock(t.Context(), s); !errors.Is(err,
		keys.ErrOtherStoreKey) {
		t.Errorf("the old key opens the store: %v", err)
	}
}

// A key of a purpose that only a newer version knows is wrapped anew with the others.
func TestRotationOfUnknownPurposes(t *testing.T) {
	first, s := newKey(t), newStore()
	unlock(t, s, first)
	later := must[[]byte](t)(must[*keys.StoreKey](t)(keys.Parse(first)).Wrap("later", make([]byte, 32)))
	s.wrapped["later"] = later
	both := must[secret.String](t)(keys.Rotate(first))
	unlock(t, s, both)
	if bytes.Equal(s.wrapped["later"], later) {
		t.Error("it is lost when the old key is taken out of the set")
	}
	unlock(t, s, must[secret.String](t)(keys.Newest(both)))
}

// Another store key stops the start, and leaves the store as it is.
func TestAnotherStoreKey(t *testing.T) {
	s := newStore()
	unlock(t, s, newKey(t))
	delete(s.wrapped, keys.Names) // as a version before left it that did not know this purpose
	before := maps.Clone(s.wrapped)
	other := newKey(t)
	_, err := must[*keys.StoreKey](t)(keys.Parse(other)).Unlock(t.Context(), s)
	if !errors.Is(err, keys.ErrOtherStoreKey) || !strings.Contains(err.Error(), "store_key") ||
		strings.Contains(err.Error(), other.Reveal()) {
		t.Errorf("another store key: %v", err)
	}
	if !maps.EqualFunc(before, s.wrapped, bytes.Equal) {
		t.Error("the store was changed")
	}
}

func TestBadKeysAreRefusedWithoutQuotingThem(t *testing.T) {
	good := newKey(t).Reveal()
	for _, text := range []string{
		"x", "not a key at all", good[:len(good)/2], strings.Repeat("A", 100), "Z" + good[1:],
	} {
		for what, read := range map[string]func(secret.String) error{
			"Parse":  func(text secret.String) error { _, err := keys.Parse(text); return err },
			"Rotate": func(text secret.String) error { _, err := keys.Rotate(text); return err },
			"Newest": func(text secret.String) error { _, err := keys.Newest(text); return err },
		} {
			err := read(secret.New(text))
			if err == nil {
				t.Errorf("%s: a text of %d bytes was taken for a key", what, len(text))
			} else if len(text) > 1 && strings.Contains(err.Error(), text) {
				t.Errorf("%s: the error quotes the key: %v", what, err)
			}
		}
	}
	if _, err := keys.Parse(secret.String{}); !errors.Is(err, keys.ErrNoStoreKey) {
		t.Errorf("without a key: %v", err)
	}
}

// Boxes are remembered, in a bounded number; one that was forgotten is opened again.
func TestBoxesAreBounded(t *testing.T) {
	k := keys.Fresh()
	wrapped := newDataKey(t, k, "t", "c")
	first := must[*keys.Box](t)(k.Box("t", "c", wrapped))
	if must[*keys.Box](t)(k.Box("t", "c", wrapped)) != first {
		t.Error("a box is not remembered")
	}
	for n := range 3 * keys.BoxesKept {
		owner := fmt.Sprint(n)
		must[*keys.Box](t)(k.Box("t", owner, newDataKey(t, k, "t", owner)))
		if n%100 == 0 && must[*keys.Box](t)(k.Box("t", "c", wrapped)) != first {
			t.Fatalf("a box in use is forgotten after %d others", n)
		}
	}
	if size := k.BoxesKept(); size > keys.BoxesKept {
		t.Errorf("%d boxes are remembered, want at most %d", size, keys.BoxesKept)
	}
}

func BenchmarkBox(b *testing.B) {
	k := keys.Fresh()
	_, wrapped, err := k.NewBox("t", "c")
	if err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 600)
	for b.Loop() {
		box, err := k.Box("t", "c", wrapped)
		if err != nil {
			b.Fatal(err)
		}
		sealed, err := box.Seal(value, "consents.resource", "0198")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := box.Open(sealed, "consents.resource", "0198"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	k := keys.Fresh()
	for b.Loop() {
		k.MAC(keys.Names, "default", []byte("0198"), []byte("account"), []byte("1234567"))
	}
}
