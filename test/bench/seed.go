package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/test/bench/stub"
	"kontor.dev/kontor/test/worldtest"
)

// filled makes a gateway whose store has so many consents, all like one that was made and approved. It does not run.
// Those that are due are polled as soon as it does.
func (b *bench) filled(ctx context.Context, count int, due bool, more string) (*kontor, error) {
	k, err := b.kontor(more)
	if err != nil {
		return nil, err
	}
	if err := k.start(); err != nil {
		return nil, err
	}
	names, err := k.authorized(ctx, stub.Small, 1)
	if err != nil {
		return nil, err
	}
	if err := k.stop(); err != nil { // a store in a file is one process's
		return nil, err
	}
	return k, k.fill(ctx, strings.TrimPrefix(names[0], "consents/"), count-1, due)
}

// fill puts consents like another one into the store.
func (k *kontor) fill(ctx context.Context, like string, count int, due bool) (err error) {
	key, err := worldtest.StoreKey(k.dir)
	if err != nil {
		return err
	}
	db, err := worldtest.OpenStore(ctx, k.dir, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var row *store.Consent
	var events []consent.Event
	if err := db.View(ctx, tenant, func(r store.Reader) (err error) {
		if row, err = r.Consent(like); err != nil {
			return err
		}
		events, err = r.Events(like, 0, 100)
		return err
	}); err != nil {
		return err
	}
	const together = 500
	for from := 0; from < count; from += together {
		if err := db.Update(ctx, tenant, func(tx store.Tx) error {
			for range min(together, count-from) {
				if err := insert(tx, row, events, due); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// insert puts another consent like one into the store.
func insert(tx store.Tx, like *store.Consent, events []consent.Event, due bool) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	row := *like
	row.ID, row.Version = id.String(), 0
	row.Resource = proto.CloneOf(like.Resource)
	row.Resource.Name = "consents/" + row.ID
	if due {
		row.NextPoll = time.UnixMicro(1)
	}
	if err := tx.InsertConsent(&row); err != nil {
		return err
	}
	for _, event := range events {
		if err := tx.AppendEvent(row.ID, event, row.Resource); err != nil {
			return err
		}
	}
	return nil
}
