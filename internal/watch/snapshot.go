package watch

import (
	"context"

	"kontor.dev/kontor/internal/store"
)

// SendAll sends the present state of all of a tenant's resources, page by page, and gives the place in the log that
// was taken first: the events follow behind it. The pages are read one after the other and never held together, so a
// later one may be newer than the first events that follow. send gets the token with the last row alone, since a
// stream that breaks off before has not seen all. sent tells whether there was any row.
func SendAll[Row, M any](
	ctx context.Context, s *Streams, w Watched[M], list func(store.Reader, store.Page) ([]Row, error),
	id func(Row) string, send func(row Row, token string) error,
) (at store.Cursor, sent bool, err error) {
	err = s.Store.View(ctx, w.Topic.Tenant, func(r store.Reader) (err error) {
		at, err = r.Head(w.Feed.log)
		return err
	})
	if err != nil {
		return at, false, err
	}
	var held []Row // the last row, until it is known whether another one follows
	for after := ""; ; {
		var page []Row
		err := s.Store.View(ctx, w.Topic.Tenant, func(r store.Reader) (err error) {
			page, err = list(r, store.Page{After: after, Size: Batch})
			return err
		})
		if err != nil {
			return at, sent, err
		}
		held = append(held, page...)
		for len(held) > 1 {
			if err := send(held[0], ""); err != nil {
				return at, true, err
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
		return at, false, nil
	}
	return at, true, send(held[0], w.Token(at))
}
