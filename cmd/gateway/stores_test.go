package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// TestStoreOfOneGateway opens a store that another gateway has, and then one that it left behind.
func TestStoreOfOneGateway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kontor.db")
	cfg := &config.Config{
		Store: secret.New("sqlite:" + filepath.ToSlash(path)), StoreKey: secret.New(keystest.Text),
	}
	first, err := openStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(t.Context(),
		cfg); !errors.Is(err, sqlite.ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("a second gateway: %v, want %v and the file", err, sqlite.ErrLocked)
	}
	later := time.Now().Add(time.Hour)
	err = first.Update(t.Context(), "t", func(tx store.Tx) error {
		return tx.InsertIntent(&store.Intent{
			Tenant: "t", ID: "i", State: store.IntentOpen, Lease: store.Lease{Owner: "first/1", Until: later},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := openStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	// Who has the file alone need not wait until the leases of the last one run out.
	if left, err := second.System().ExpiredIntents(t.Context(), time.Now(), 9); err != nil || len(left) != 1 {
		t.Errorf("%d intents have run out, %v; want 1", len(left), err)
	}
}

// TestStoreThatCannotBeOpened gives the lock back.
func TestStoreThatCannotBeOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kontor.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := openSQLite(context.Background(), path, keystest.StoreKey())
		if !errors.Is(err, sqlite.ErrCorrupt) || errors.Is(err, sqlite.ErrLocked) {
			t.Fatalf("error %v, want %v", err, sqlite.ErrCorrupt)
		}
	}
}

func TestStoreAddresses(t *testing.T) {
	for _, address := range []string{
		"", "postgres://u:secret@h/db", "sqlite", "sqlite:", "sqlite://secret", "SQLITE:secret", "file:secret",
	} {
		_, err := openStore(t.Context(), &config.Config{Store: secret.New(address)})
		if err == nil || !strings.Contains(err.Error(), "sqlite:<path>") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
}
