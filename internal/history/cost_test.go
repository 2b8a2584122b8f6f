package history_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

func BenchmarkExtend(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "kontor.db"), sqlite.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			rows := &service.Store{Store: db, Log: slog.New(slog.DiscardHandler)}
			w := &history.Writer{
				Store: rows, Clock: time.Now, NextPoll: func(*store.Consent) time.Time { return time.Time{} },
			}
			row := &store.Consent{Tenant: "t", ID: "c", CustomerID: "p", Resource: &consentv1.Consent{Name: "consents/c"}}
			err = rows.Update(b.Context(), "t", func(tx store.Tx) error {
				if err := tx.InsertCustomer(&store.Customer{Tenant: "t", ID: "p", Resource: &customerv1.Customer{}}); err != nil {
					return err
				}
				if err := tx.InsertConsent(row); err != nil {
					return err
				}
				var events []consent.Event
				events = append(events, consent.Created(time.Now(), ""), consent.LinkIssued(1, "https://x", time.Now().Add(time.Hour), time.Now()))
				for i := range n {
					events = append(events, consent.Event{Flow: 1, Key: fmt.Sprint("sync/", i), Type: consentv1.ConsentEvent_SYNC_COMPLETED, ConnectionID: "bank", EventTime: time.Now(), SyncTime: time.Now(), Description: "Newer data was fetched from the bank."})
				}
				for i, e := range consent.Add(nil, events...) {
					_ = i
					if err := tx.AppendEvent("c", e, row.Resource); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			i := 0
			for b.Loop() {
				i++
				_, err := w.Change(b.Context(), row, func(tx store.Tx, fresh *store.Consent) error {
					_, err := w.Extend(tx, fresh, consent.Event{Flow: 1, Key: fmt.Sprint("more/", i), Type: consentv1.ConsentEvent_SYNC_COMPLETED, ConnectionID: "bank", EventTime: time.Now(), SyncTime: time.Now()})
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
