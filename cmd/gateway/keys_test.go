package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/secret"
)

// TestStoreKeyIsReplaced goes the way that docs/operations.md tells.
func TestStoreKeyIsReplaced(t *testing.T) {
	dir := t.TempDir()
	address := secret.New("sqlite:" + filepath.ToSlash(filepath.Join(dir, "kontor.db")))
	command := func(args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if err := run(t.Context(), append([]string{"keys", "store"}, args...), &out, &errOut); err != nil {
			t.Fatalf("%v: %v, %s", args, err, &errOut)
		}
		return strings.TrimSpace(out.String())
	}
	open := func(key string) (string, error) {
		db, err := openStore(t.Context(), &config.Config{Store: address, StoreKey: secret.New(key)})
		if err != nil {
			return "", err
		}
		return string(db.Keys().MAC(keys.Names, "t")), db.Close()
	}
	file := filepath.Join(dir, "key")
	keep := func(key string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := command()
	keep(first)
	want, err := open(first)
	if err != nil {
		t.Fatal(err)
	}
	both := command("--rotate", file)
	keep(both)
	last := command("--newest", file)
	for step, key := range []string{both, last} {
		if got, err := open(key); err != nil || got != want {
			t.Errorf("step %d: %v, the same keys: %t", step, err, got == want)
		}
	}
	for _, key := range []string{first, command()} {
		_, err := open(key)
		if !errors.Is(err, keys.ErrOtherStoreKey) || !strings.Contains(err.Error(), "store_key") ||
			strings.Contains(err.Error(), key) {
			t.Errorf("a key that is not the store's: %v", err)
		}
	}
	if _, err := open(""); !errors.Is(err, keys.ErrNoStoreKey) {
		t.Errorf("without a key: %v", err)
	}
}

func TestStoreKeyCommandRefuses(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--rotate", bad}, {"--newest", bad}, {"--rotate", bad + "none"}, {"--rotate", bad, "--newest", bad}, {"more"},
		{"--rotate", ""}, {"--newest="}, {"--rotate", "", "--newest", ""},
	} {
		var out bytes.Buffer
		err := run(t.Context(), append([]string{"keys", "store"}, args...), &out, &out)
		if err == nil || strings.Contains(err.Error()+out.String(), "canary") {
			t.Errorf("%v: %v, %s", args, err, &out)
		}
	}
}

// The sandbox keeps its key beside its database, for itself alone, and finds it again.
func TestSandboxKeepsItsKey(t *testing.T) {
	database := filepath.Join(t.TempDir(), "data", "sandbox.db")
	first, err := keyBeside(database)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyBeside(database)
	if err != nil || again.Reveal() != first.Reveal() {
		t.Errorf("the second time it is another key, %v", err)
	}
	file := strings.TrimSuffix(database, ".db") + ".key"
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	if err := os.WriteFile(file, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyBeside(database); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("what is no key: %v", err)
	}
}
