package audit

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

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

// failing is a database whose transactions do not become durable.
type failing struct{ store.Database }

func (f failing) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	return f.Database.Update(ctx, tenant, func(tx store.Tx) error {
		return errors.Join(fn(tx), errors.New("the disk is full"))
	})
}

// TestFailureIsNotedOnce notes a failed call whose outcome the call's own transaction was to note. There is one entry
// about it, whether that transaction became durable or not.
func TestFailureIsNotedOnce(t *testing.T) {
	for _, durable := range []bool{true, false} {
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "kontor.db"), keystest.StoreKey(), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		log := slog.New(slog.DiscardHandler)
		rows := &service.Store{Store: db, Log: log}
		trail := &Trail{Store: rows, Clock: time.Now, Log: log}
		ctx := identity.WithTrail(identity.With(t.Context(), identity.Identity{ClientID: "c", Tenant: "t"}))
		if !durable {
			rows.Store = failing{db}
		}
		failure := kerr.New(errorv1.Error_OUTCOME_UNKNOWN, "nobody knows")
		err = rows.Update(ctx, "t", func(tx store.Tx) error {
			return trail.NoteOutcome(ctx, tx, "CreateShipment", "", errorv1.Error_OUTCOME_UNKNOWN.String())
		})
		if (err == nil) != durable {
			t.Fatal(err)
		}
		rows.Store = db
		trail.Failure(ctx, "CreateShipment", "", failure)
		entries, err := db.System().AuditTrail(t.Context(), 0, 9)
		if err != nil || len(entries) != 1 {
			t.Errorf("the call's transaction durable %t: there are %d entries, %v", durable, len(entries), err)
		}
	}
}
