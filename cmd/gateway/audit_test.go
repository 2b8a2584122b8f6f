package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// auditedStore makes a configuration whose providers' secrets nobody can read, and a store with five entries of a
// tenant, all of them sealed. It gives the paths of both, and the checkpoint that stands in the log.
func auditedStore(t *testing.T) (config, path, checkpoint string) {
	t.Helper()
	folder := t.TempDir()
	config, path = filepath.Join(folder, "kontor.yaml"), filepath.Join(folder, "kontor.db")
	text := fmt.Sprintf(`public_url: https://kontor.example.com
store: sqlite:%s
store_key: "${file:store.key}"
tenants:
  default:
    redirect_uris: ["https://app.example.com/*"]
    providers:
      fimento: {base_url: "https://fimento.example.com", username: u, password: "${file:none}", partner_bank: "62a1f0c7e4b0a1b2c3d4e5f6"}
      finoos: {name: "${env:KONTOR_TEST_NONE}", secret: "${env:KONTOR_TEST_NONE}"}
clients:
  - {id: c, tenant: default, key_sha256: "${env:KONTOR_TEST_NONE}", scopes: [consents.read]}
`, filepath.ToSlash(path))
	for name, content := range map[string]string{"kontor.yaml": text, "store.key": keystest.Text} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlite.Open(t.Context(), path, keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for n := range 5 {
		err := db.Update(t.Context(), "default", func(tx store.Tx) error {
			return tx.AppendAudit(&store.Audit{
				Time: time.Now(), Tenant: "default", Actor: "c", Method: fmt.Sprint("Method", n), Outcome: audit.OK,
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	sealer := &audit.Sealer{
		Store: db, Tenants: db.System(), MAC: db.Keys(), Clock: time.Now, Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}
	if err := sealer.Seal(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	var logged struct{ Checkpoint string }
	if err := json.Unmarshal(log.Bytes(), &logged); err != nil || logged.Checkpoint == "" {
		t.Fatalf("the log has %s: %v", log.String(), err)
	}
	return config, path, logged.Checkpoint
}

// called runs the gateway with arguments.
func called(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errOut bytes.Buffer
	err := run(t.Context(), args, &out, &errOut)
	return out.String(), err
}

// TestStoreCommandsTakeWhatServes: secrets that everybody can read stop serve no more than they stop a backup.
func TestStoreCommandsTakeWhatServes(t *testing.T) {
	config, _, _ := auditedStore(t)
	for folder := filepath.Dir(config); strings.HasPrefix(folder, os.TempDir()+string(filepath.Separator)); {
		if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // on purpose
			t.Fatal(err)
		}
		folder = filepath.Dir(folder)
	}
	for _, name := range []string{config, filepath.Join(filepath.Dir(config), "store.key")} {
		if err := os.Chmod(name, 0o644); err != nil { //nolint:gosec // on purpose
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"audit", "verify"}, {"audit", "export"}, {"backup", "--to", filepath.Join(t.TempDir(), "backup.db")},
	} {
		if _, err := called(t, append(args, "--config", config)...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestAuditWithoutProvidersSecrets exports, verifies and backs up with a configuration by which nothing could be
// served.
func TestAuditWithoutProvidersSecrets(t *testing.T) {
	config, path, checkpoint := auditedStore(t)
	if _, err := called(t, "check", "--config", config); err == nil {
		t.Fatal("the secrets can be read")
	}
	exported, err := called(t, "audit", "export", "--config", config)
	if err != nil || strings.Count(exported, `"position"`) != 5 || !strings.Contains(exported, checkpoint) {
		t.Errorf("exported is %s, %v", exported, err)
	}
	file := filepath.Join(t.TempDir(), "export.jsonl")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "backup.db")
	if _, err := called(t, "backup", "--config", config, "--to", copied); err != nil {
		t.Error(err)
	}
	whole := [][]string{
		{}, {"--checkpoint", checkpoint}, {"--tenant", "default"}, {"--file", file, "--checkpoint", checkpoint},
	}
	verify := func(args ...string) (string, error) {
		return called(t, append([]string{"audit", "verify", "--config", config}, args...)...)
	}
	for _, args := range whole {
		if out, err := verify(args...); err != nil || !strings.Contains(out, "default: 5 entries") ||
			!strings.Contains(out, "sealed up to position 5") || !strings.Contains(out, ": whole\n") {
			t.Errorf("%v: %s, %v", args, out, err)
		}
	}
	// A name that nobody knows is a slip, and nothing on record of it must not pass for whole.
	if out, err := verify("--tenant", "defautl"); err == nil || out != "" {
		t.Errorf("a mistyped tenant: %s, %v", out, err)
	}
	if out, err := called(t, "audit", "export", "--config", config, "--tenant", "defautl"); err == nil || out != "" {
		t.Errorf("a mistyped tenant's export: %s, %v", out, err)
	}

	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE audit SET outcome = 'KO' WHERE position = 3"); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(); !errors.Is(err, errChanged) || !strings.Contains(out, "default: CHANGED: position 3 ") {
		t.Errorf("changed: %s, %v", out, err)
	}
	// All of it is gone: the roll of all tenants tells, and what stands elsewhere.
	if _, err := db.Exec("DELETE FROM audit; DELETE FROM audit_seals; DELETE FROM audit_checkpoints"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(); !errors.Is(err, errChanged) ||
		!strings.Contains(out, "default: CHANGED: position 0 began a trail") {
		t.Errorf("gone: %s, %v", out, err)
	}
	if out, err := verify("--checkpoint", checkpoint); !errors.Is(err, errChanged) ||
		!strings.Contains(out, "default: CHANGED: position 0 ") {
		t.Errorf("gone, with the checkpoint: %s, %v", out, err)
	}
	if out, err := verify("--file", file); err != nil {
		t.Errorf("the export: %s, %v", out, err)
	}
}

// TestVerifyNamesEveryTenant: one without a trail is told of, and nothing passes for whole because it is empty.
func TestVerifyNamesEveryTenant(t *testing.T) {
	config, path, _ := auditedStore(t)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(string(text), "clients:", "  newcomer: {redirect_uris: [\"https://app.example.com/*\"],"+
		" providers: {fimento: {base_url: \"https://fimento.example.com\", username: u, password: \"${file:none}\","+
		" partner_bank: \"62a1f0c7e4b0a1b2c3d4e5f6\"}}}\nclients:", 1)
	if err := os.WriteFile(config, []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := called(t, "audit", "verify", "--config", config); err != nil || !strings.Contains(out, ": whole\n") ||
		!strings.Contains(out, "newcomer: has no entries") {
		t.Errorf("%s, %v", out, err)
	}
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	exported, err := called(t, "audit", "export", "--config", config, "--tenant", "default")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "export.jsonl")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--file", empty}, {"--file", file, "--tenant", "newcomer"}} {
		if out, err := called(t, append([]string{"audit", "verify", "--config", config}, args...)...); err == nil {
			t.Errorf("%v passes: %s", args, out)
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	const plant = "CREATE TRIGGER planted AFTER INSERT ON audit BEGIN DELETE FROM audit WHERE position = new.position; END"
	if _, err := db.Exec(plant); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := called(t, "audit", "verify", "--config", config); !errors.Is(err, errChanged) ||
		!strings.Contains(out, "the database has trigger planted on audit") {
		t.Errorf("planted: %s, %v", out, err)
	}
}

func TestAuditArguments(t *testing.T) {
	config, _, _ := auditedStore(t)
	for _, args := range [][]string{
		{}, {"delete"}, {"verify", "--config", config, "more"}, {"verify", "--config", config, "--checkpoint", "x"},
		{"export", "--config", config, "more"}, {"export", "--since", "yesterday"},
	} {
		if _, err := called(t, append([]string{"audit"}, args...)...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	// What is wrong with a configuration is still said, and a store key that is another's opens nothing.
	for old, replacement := range map[string]string{
		"public_url: https": "public_url: ftp", "store_key:": "store_kee:", "finoos:": "fino:",
	} {
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(filepath.Dir(config), "other.yaml")
		if err := os.WriteFile(other, []byte(strings.Replace(string(text), old, replacement, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := called(t, "audit", "verify", "--config", other); err == nil || !strings.Contains(err.Error(), "other.yaml:") {
			t.Errorf("%s: %v", replacement, err)
		}
	}
	key, err := called(t, "keys", "store")
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(config), "store.key"), []byte(key), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := called(t, "audit", "verify", "--config", config); err == nil || errors.Is(err, errChanged) {
		t.Errorf("with another store key: %s, %v", out, err)
	}
}
