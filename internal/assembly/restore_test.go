package assembly_test

import (
	"path/filepath"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

// TestEndAgain: a consent that stands in a copy does not after it was ended again, whatever its history tells, and only
// what ended not for good is read again, and can be approved anew.
func TestEndAgain(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "kontor.db"), keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	const (
		revoked, expired = consentv1.Consent_REVOKED, consentv1.Consent_EXPIRED
		authorized       = consentv1.Consent_AUTHORIZED
	)
	now := time.Now().UTC().Truncate(time.Second)
	writer := &history.Writer{
		Names: service.Names{Keys: db.Keys()}, Clock: func() time.Time { return now },
		NextPoll: func(*store.Consent) time.Time { return now.Add(24 * time.Hour) },
	}
	// An hour ago it was approved, and half an hour ago it ended; approved is by the provider's clock.
	end := now.Add(-30 * time.Minute)
	for name, of := range map[string]struct {
		approved time.Time
		how      store.EndKind
		want     consentv1.Consent_Status
		final    bool
	}{
		"revoked":                     {now.Add(-time.Hour), store.EndRevoked, revoked, true},
		"superseded":                  {now.Add(-time.Hour), store.EndSuperseded, expired, true},
		"withdrawn":                   {now.Add(-time.Hour), store.EndWithdrawn, revoked, false},
		"withdrawn, clocks differ":    {now.Add(-20 * time.Minute), store.EndWithdrawn, revoked, false},
		"withdrawn, approved untimed": {time.Time{}, store.EndWithdrawn, revoked, false},
		"expired":                     {now.Add(-time.Hour), store.EndExpired, expired, false},
		"of a kind yet to come":       {now.Add(-time.Hour), "ELSEWHERE", revoked, true},
	} {
		t.Run(name, func(t *testing.T) {
			row := &store.Consent{
				Tenant: "t", ID: name, CustomerID: "p" + name, ValidUntil: now.Add(time.Hour),
				Resource: &consentv1.Consent{Name: "consents/" + name},
			}
			var after, again *store.Consent
			report := func(at time.Time, key string) providers.ConsentState {
				return providers.ConsentState{Observations: []providers.Observation{
					{Key: "a" + key, Type: consentv1.ConsentEvent_BANK_AUTHORIZED, ConnectionID: "bank", Time: at},
					{Key: key, Type: consentv1.ConsentEvent_APPROVED, Time: at},
				}}
			}
			err := db.Update(t.Context(), "t", func(tx store.Tx) error {
				*row = store.Consent{
					Tenant: row.Tenant, ID: row.ID, CustomerID: row.CustomerID, ValidUntil: row.ValidUntil,
					Resource: &consentv1.Consent{Name: "consents/" + name},
				}
				if err := tx.InsertCustomer(&store.Customer{
					Tenant: "t", ID: row.CustomerID, Resource: &customerv1.Customer{},
				}); err != nil {
					return err
				}
				if err := tx.InsertConsent(row); err != nil {
					return err
				}
				issued := consent.LinkIssued(1, "https://bank.example", now.Add(time.Hour), now.Add(-2*time.Hour))
				if _, err := writer.Extend(tx, row, issued); err != nil {
					return err
				}
				return writer.Observe(tx, row, report(of.approved, "first"))
			})
			if err != nil || row.Resource.GetStatus() != authorized {
				t.Fatalf("before it is %v, %v", row.Resource.GetStatus(), err)
			}
			if err := db.Update(t.Context(), "t", func(tx store.Tx) (err error) {
				if err := assembly.EndAgain(db.Keys(), tx, name, store.End{How: of.how, Time: end}); err != nil {
					return err
				}
				after, err = tx.Consent(name)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if got := after.Resource.GetStatus(); got != of.want || after.Ended != of.final {
				t.Errorf("it is %s, ended: %v; want %s, %v", got, after.Ended, of.want, of.final)
			}
			if bank := after.Resource.GetConnections()[0]; of.want == revoked &&
				(bank.GetStatus() != consentv1.Connection_DISCONNECTED ||
					bank.GetName() != row.Resource.GetConnections()[0].GetName()) {
				t.Errorf("its bank is %v", bank)
			}
			if of.final != after.NextPoll.IsZero() || after.NextPoll.After(time.Now()) {
				t.Errorf("it is read at %v", after.NextPoll)
			}
			want := map[bool]consentv1.Consent_Status{true: of.want, false: authorized}[of.final]
			if of.how == store.EndExpired {
				want = expired // until it is approved in another flow
			}
			if err := db.Update(t.Context(), "t", func(tx store.Tx) (err error) {
				if again, err = tx.Consent(name); err != nil {
					return err
				}
				return writer.Observe(tx, again, report(now, "second"))
			}); err != nil || again.Resource.GetStatus() != want {
				t.Errorf("approved once more it is %s, %v; want %s", again.Resource.GetStatus(), err, want)
			}
		})
	}
}
