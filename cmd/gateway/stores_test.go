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
		"", "mysql://u:secret@h/db", "sqlite", "sqlite:", "sqlite://secret", "SQLITE:secret", "file:secret",
	} {
		_, err := openStore(t.Context(), &config.Config{Store: secret.New(address)})
		if err == nil || !strings.Contains(err.Error(), "sqlite:<path>") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// TestPostgresAddresses refuses what is no address of a database, without quoting it.
func TestPostgresAddresses(t *testing.T) {
	for _, address := range []string{
		"postgres:", "postgres:secret", "postgresql:secret", "postgresq://u:secret@h/db", ":secret", "postgres://u:secret@h:port/db", "postgres://u:secret@h/db?sslmode=secret",
		"postgres://u:secret@h/db?kontor_listen=secret",
	} {
		_, err := openStore(t.Context(), &config.Config{
			Store: secret.New(address), StoreKey: secret.New(keystest.Text),
		})
		if err == nil || !strings.Contains(err.Error(), "must be") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{
		"postgres://u:secret@h/db", "postgres://u@/db?host=h,g&port=6432,6432&target_session_attrs=read-write&kontor_listen=g:5432", "postgres:///db?host=/run",
		"postgres://u@h/db?kontor_listen=off&pool_max_conns=4",
	} {
		other := "postgresql" + strings.TrimPrefix(address, "postgres")
		for _, given := range []string{address, other} {
			if d, rest, err := driverIn(given, "/folder"); err != nil || d.Scheme+":"+rest != address {
				t.Errorf("%q becomes %q, %v", given, rest, err)
			}
			if kept, folder, err := known.Store(given, "/folder"); err != nil || kept != address || folder != "" {
				t.Errorf("of %q the configuration keeps %q, %q, %v", given, kept, folder, err)
			}
		}
	}
}

// TestRelativePaths: whatever is not absolute in a configuration starts at its folder, the store like secrets, wherever
// a command is run; what stands on the command line starts where the command is run.
func TestRelativePaths(t *testing.T) {
	for name, line := range map[string]string{
		"named": "store: sqlite:./data/kontor.db\n", "from the environment": "store: \"${env:KONTOR_TEST_STORE}\"\n",
		"default": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KONTOR_TEST_STORE", "sqlite:data/kontor.db")
			dir := furnish(t, strings.Replace(good, "store: \"sqlite:FOLDER/data/kontor.db\"\n", line, 1))
			elsewhere := t.TempDir()
			t.Chdir(elsewhere)
			file := filepath.Join(dir, "kontor.yaml")
			for _, args := range [][]string{
				{"migrate"}, {"check"}, {"backup", "--to", "copy.db"},
				{"restore", "--from", "copy.db", "--keys", "kontor.keys", "--to", "sqlite:trial/trial.db"},
			} {
				if _, err := called(t, append(args, "--config", file)...); err != nil {
					t.Errorf("%v: %v", args, err)
				}
			}
			if got := outcome(t, "serve", dir); got != "" {
				t.Errorf("serve: %s", got)
			}
			for _, path := range []string{
				filepath.Join(dir, "data", "kontor.db"), filepath.Join(elsewhere, "copy.db"),
				filepath.Join(elsewhere, "kontor.keys"), filepath.Join(elsewhere, "trial", "trial.db"),
			} {
				if _, err := os.Stat(path); err != nil {
					t.Error(err)
				}
			}
			if _, err := os.Stat(filepath.Join(elsewhere, "data")); err == nil {
				t.Error("the store is where the command was run")
			}
		})
	}
}

// TestMigrate makes a store, finds it up to date, and leaves one alone that a gateway has.
func TestMigrate(t *testing.T) {
	dir := furnish(t, good)
	file := filepath.Join(dir, "kontor.yaml")
	if err := os.Remove(filepath.Join(dir, "finoos.secret")); err != nil { // It needs the store alone.
		t.Fatal(err)
	}
	for _, want := range []string{"there was no store: one is made, with tables of version ", ", which is the newest"} {
		if out, err := called(t, "migrate", "--config", file); err != nil || !strings.Contains(out, want) {
			t.Errorf("%q, %v, want %q", out, err, want)
		}
	}
	lock, err := sqlite.Lock(filepath.Join(dir, "data", "kontor.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := called(t, "migrate", "--config", file); !errors.Is(err, sqlite.ErrLocked) {
		t.Errorf("beside a gateway: %v, want %v", err, sqlite.ErrLocked)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStoreCopyKinds: there is one way, from SQLite to PostgreSQL. Addresses are never quoted.
func TestStoreCopyKinds(t *testing.T) {
	file := filepath.Join(furnish(t, good), "kontor.yaml")
	for _, c := range []struct{ from, to, want string }{
		{
			"sqlite:secret.db", "sqlite:secret.db",
			"from sqlite:<path> to postgres://<user>@<host>/<database>, not from sqlite to sqlite",
		},
		{"postgres://u:secret@h/db", "sqlite:secret.db", "not from postgres to sqlite"},
		{"postgres://u:secret@h/db", "postgres://u:secret@h/db", "not from postgres to postgres"},
		{"postgres://u:secret@h/db", "", "not from postgres to sqlite"}, // the configuration's
		{"", "secret://h", "--to: must be "},
		{"secret", "postgres://h/db", "--from: must be "},
	} {
		args := []string{"store", "copy", "--config", file}
		for flag, value := range map[string]string{"--from": c.from, "--to": c.to} {
			if value != "" {
				args = append(args, flag, value)
			}
		}
		if out, err := called(t, args...); err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "secret") || out != "" {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
}
