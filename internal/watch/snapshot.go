package watch

import (
	"context"
	"maps"

	"kontor.dev/kontor/internal/store"
)

// Present is what a stream has sent of the present state.
type Present struct {
	// At is the place behind which the events follow.
	At store.Cursor
	// Sent says that there was something to send.
	Sent bool
	// Newer has, by id, the places up to which resources had more in them than At says: their events up to there are
	// not sent any more.
	Newer map[string]store.Cursor
}

// SendAll sends the present state of all of a tenant's resources, page by page, and gives the place in the log that
// was taken first: the events follow behind it. The pages are read one after the other and never held together, so a
// later one may be newer than that place; what it has of events is told with it, so that nothing comes twice. send gets
// the token with the last row alone, since a stream that breaks off before has not seen all.
func SendAll[Row, M any](
	ctx context.Context, s *Streams, w Watched[M], list func(store.Reader, store.Page) ([]Row, error),
	id func(Row) string, send func(row Row, token string) error,
) (p Present, err error) {
	err = s.Store.View(ctx, w.Topic.Tenant, func(r store.Reader) (err error) {
		p.At, err = r.Head(w.Feed.log)
		return err
	})
	if err != nil {
		return p, err
	}
	p.Newer = map[string]store.Cursor{}
	var held []Row // the last row, until it is known whether another one follows
	for after := ""; ; {
		var page []Row
		var newer map[string]store.Cursor
		err := s.Store.View(ctx, w.Topic.Tenant, func(r store.Reader) (err error) {
			if page, err = list(r, store.Page{After: after, Size: Batch}); err != nil || len(page) == 0 {
				return err
			}
			ids := make([]string, len(page))
			for i, row := range page {
				ids[i] = id(row)
			}
			newer, err = r.Newest(w.Feed.log, ids, p.At)
			return err
		})
		if err != nil {
			return p, err
		}
		maps.Copy(p.Newer, newer)
		held = append(held, page...)
		for len(held) > 1 {
			p.Sent = true
			if err := send(held[0], ""); err != nil {
				return p, err
			}
			clear(held[:1]) // Who waits to send the next one holds no more than what is left.
			held = held[1:]
		}
		if len(page) < Batch {
			break
		}
		after = id(page[len(page)-1])
	}
	if len(held) == 0 {
		return p, nil
	}
	p.Sent = true
	return p, send(held[0], w.Token(p.At))
}

// PlaceOf gives the place in a log that one resource stands for, as a View has both, which must ask for nothing before:
// its events follow behind it, none that it has in it already.
func PlaceOf(r store.Reader, log store.Log, id string) (store.Cursor, error) {
	at, err := r.Head(log)
	if err != nil {
		return "", err
	}
	newer, err := r.Newest(log, []string{id}, at)
	if place, ok := newer[id]; ok {
		at = place
	}
	return at, err
}
