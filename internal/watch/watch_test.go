package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
)

const tenant = "hansa"

// message is what streams send here: the subject of a shipment, which the tests count up.
type message struct{ subject, token string }

// world is a database with a shipment log, and a process that follows it.
type world struct {
	db      *sqlite.Store
	path    string
	streams *Streams
	stop    chan struct{} // ends the streams
	feed    *Feed[*message]
	// made counts the messages that were made, tails the tailers that are at work.
	made, tails *atomic.Int32
}

// counted counts subscriptions.
type counted struct {
	store.Tails

	tails *atomic.Int32
}

func (c counted) Subscribe(log store.Log) (<-chan store.Cursor, func()) {
	wake, cancel := c.Tails.Subscribe(log)
	c.tails.Add(1)
	return wake, func() {
		c.tails.Add(-1)
		cancel()
	}
}

func newWorld(t *testing.T, path string) *world {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{db: db, path: path, made: &atomic.Int32{}, tails: &atomic.Int32{}, stop: make(chan struct{})}
	log := slog.New(slog.DiscardHandler)
	w.streams = &Streams{
		Store: &service.Store{Store: db, Log: log}, Stopping: w.stop, Heartbeat: time.Hour,
	}
	w.feed = NewFeed(Source[store.ShipmentEntry, *message]{
		Log: store.ShipmentLog, Tokens: service.Tokens{Keys: db.Keys()}, Logger: log,
		Tails: counted{db.System(), w.tails}, Tail: db.System().TailShipments,
		Read: func(r store.Reader, topic Topic, after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
			return r.ShipmentEntries(topic.ID, after, limit)
		},
		Of: func(e store.ShipmentEntry) (Topic, store.Cursor, bool) {
			over := e.After.GetStatus() == documentsv1.Shipment_FAILED
			return Topic{Tenant: e.Tenant, ID: e.ShipmentID}, e.Cursor, over
		},
		Message: func(e store.ShipmentEntry, token string) *message {
			w.made.Add(1)
			return &message{subject: e.After.GetSubject(), token: token}
		},
	})
	return w
}

func newOne(t *testing.T) *world {
	t.Helper()
	return newWorld(t, filepath.Join(t.TempDir(), "kontor.db"))
}

// insert makes shipments.
func (w *world) insert(t *testing.T, ids ...string) {
	t.Helper()
	w.update(t, func(tx store.Tx) error {
		for _, id := range ids {
			row := &store.Shipment{Tenant: tenant, ID: id, Resource: &documentsv1.Shipment{}}
			if err := tx.InsertShipment(row); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) update(t *testing.T, fn func(store.Tx) error) {
	t.Helper()
	if err := w.db.Update(context.Background(), tenant, fn); err != nil {
		t.Errorf("Update: %v", err)
	}
}

// append adds an entry to the log.
func (w *world) append(t *testing.T, id, subject string) {
	t.Helper()
	w.update(t, func(tx store.Tx) error { return tx.AppendShipment(id, &documentsv1.Shipment{Subject: subject}) })
}

// stream is a caller's stream: what it received comes through messages, whose reader may be slow.
type stream struct {
	messages chan *message
	ended    chan error
	cancel   context.CancelFunc
}

// watch begins a stream. Its state is a message without a subject.
func (w *world) watch(t *testing.T, id, token string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &stream{messages: make(chan *message), ended: make(chan error, 1), cancel: cancel}
	send := func(m *message) error {
		select {
		case s.messages <- m:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	watched := Watched[*message]{
		Topic: Topic{Tenant: tenant, ID: id}, Feed: w.feed, Send: send,
		Heartbeat: func(token string) error { return send(&message{token: token}) },
		Snapshot: func() (p Present, err error) {
			p.At, err = w.db.System().Head(ctx, store.ShipmentLog)
			return p, err
		},
	}
	go func() { s.ended <- Run(ctx, w.streams, watched, token) }()
	t.Cleanup(func() { s.end(t) })
	return s
}

// end ends a stream as its caller does.
func (s *stream) end(t *testing.T) {
	t.Helper()
	s.cancel()
	for {
		select {
		case <-s.messages:
		case err := <-s.ended:
			s.ended <- err
			if err != nil && !errors.Is(err, context.Canceled) && kerr.Reason(err) == errorv1.Error_REASON_UNSPECIFIED {
				t.Errorf("a stream ended with %v", err)
			}
			return
		}
	}
}

// next gives the next message.
func (s *stream) next(t *testing.T) *message {
	t.Helper()
	select {
	case m := <-s.messages:
		return m
	case err := <-s.ended:
		s.ended <- err
		t.Fatalf("the stream ended with %v", err)
	case <-time.After(20 * time.Second):
		t.Fatal("the stream is silent")
	}
	return nil
}

// want reads messages with these subjects.
func (s *stream) want(t *testing.T, subjects ...string) (last *message) {
	t.Helper()
	for _, want := range subjects {
		if last = s.next(t); last.subject != want {
			t.Fatalf("received %q, want %q", last.subject, want)
		}
	}
	return last
}

func numbers(from, to int) (subjects []string) {
	for n := from; n < to; n++ {
		subjects = append(subjects, fmt.Sprint(n))
	}
	return subjects
}

// TestOneTailerMakesMessagesOnce has many streams of two kinds.
func TestOneTailerMakesMessagesOnce(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a", "b")
	var all, one []*stream
	for range 10 {
		all, one = append(all, w.watch(t, "", "")), append(one, w.watch(t, "a", ""))
	}
	for _, s := range slices.Concat(all, one) {
		s.want(t, "") // the state; the stream follows from here on
	}
	// A stream that has not caught up yet makes its own messages. All have when the first entry came by the tailer.
	for n := 0; ; n++ {
		w.made.Store(0)
		w.append(t, "a", fmt.Sprint(n))
		seen := map[*message]bool{}
		for _, s := range slices.Concat(all, one) {
			seen[s.want(t, fmt.Sprint(n))] = true
		}
		if len(seen) == 2 && w.made.Load() == 2 {
			break
		}
		if n == 100 {
			t.Fatalf("20 streams of two kinds sent %d different messages, and %d were made; want 2", len(seen),
				w.made.Load())
		}
	}
	if tails := w.tails.Load(); tails != 1 {
		t.Errorf("%d tailers are at work, want 1", tails)
	}
	w.append(t, "b", "of another")
	for _, s := range all {
		s.want(t, "of another")
	}
	for _, s := range slices.Concat(all, one) {
		s.end(t)
	}
	for limit := time.Now().Add(10 * time.Second); w.tails.Load() != 0; {
		if time.Now().After(limit) {
			t.Fatal("a tailer is left when all streams have ended")
		}
	}
	// It comes back with the next stream, and what happened meanwhile is not lost.
	resumed := w.watch(t, "", "")
	token := resumed.want(t, "").token
	resumed.end(t)
	w.append(t, "a", "meanwhile")
	again := w.watch(t, "", token)
	again.want(t, "meanwhile")
	w.append(t, "a", "later")
	again.want(t, "later")
}

// TestResumedStreamSpeaks resumes a stream behind which nothing is: its caller hears at once that it stands, and not
// with the next event or heartbeat. Until then there is no answer over REST, and proxies give it up.
func TestResumedStreamSpeaks(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a")
	w.append(t, "a", "before")
	for _, id := range []string{"", "a"} {
		first := w.watch(t, id, "")
		token := first.want(t, "").token
		first.end(t)
		resumed := w.watch(t, id, token)
		if again := resumed.want(t, "").token; again != token {
			t.Errorf("the stream of %q stands at %q, want where it was resumed, %q", id, again, token)
		}
		w.append(t, "a", "later")
		resumed.want(t, "later")
		resumed.end(t)
		// With something to say there is nothing beside it.
		late := w.watch(t, id, token)
		late.want(t, "later")
		w.append(t, "a", "even later")
		late.want(t, "even later")
	}
}

// TestSlowStream has one stream that does not read, while another one reads more than is kept for the first. In the end
// it reads all, too.
func TestSlowStream(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a")
	slow, fast := w.watch(t, "", ""), w.watch(t, "", "")
	slow.want(t, "")
	fast.want(t, "")
	const entries = 5 * buffered
	for n := range entries {
		w.append(t, "a", fmt.Sprint(n))
		fast.want(t, fmt.Sprint(n))
	}
	slow.want(t, numbers(0, entries)...)
	// It follows again, and may fall behind again.
	for n := entries; n < 2*entries; n++ {
		w.append(t, "a", fmt.Sprint(n))
	}
	slow.want(t, numbers(entries, 2*entries)...)
	fast.want(t, numbers(entries, 2*entries)...)
}

// TestEveryStreamSeesAll has writers in two processes, and streams in both that end and resume at random, some of them
// slow: each sees every entry once, in the order of the log.
func TestEveryStreamSeesAll(t *testing.T) {
	t.Parallel()
	randomSeed := rand.Uint64()
	t.Logf("seed %d", randomSeed)
	w := newOne(t)
	both := []*world{w, newWorld(t, w.path)}
	w.insert(t, "a", "b", "c")
	ids := []string{"a", "b", "c"}
	start := w.watch(t, "", "")
	token := start.want(t, "").token
	tokens := map[string]string{"": token}
	for _, id := range ids {
		s := w.watch(t, id, "")
		tokens[id] = s.want(t, "").token
		s.end(t)
	}
	start.end(t)

	const each, writers = 150, 4
	var group sync.WaitGroup
	for n := range writers {
		group.Go(func() {
			for i := range each {
				both[n%2].append(t, ids[(n+i)%len(ids)], fmt.Sprintf("%d-%d", n, i))
			}
		})
	}
	want := map[string]int{
		"": writers * each, "a": writers * each / 3, "b": writers * each / 3, "c": writers * each / 3,
	}
	results := make([][]string, 12)
	topics := make([]string, len(results))
	for n := range results {
		random := rand.New(rand.NewPCG(randomSeed, uint64(n)))
		id := []string{"", "a", "", "b"}[n%4]
		topics[n] = id
		group.Go(func() {
			token := tokens[id]
			for len(results[n]) < want[id] {
				s := both[random.IntN(2)].watch(t, id, token)
				for left := 1 + random.IntN(2*buffered); left > 0 && len(results[n]) < want[id]; left-- {
					m := s.next(t)
					if token = m.token; m.subject != "" { // else a heartbeat
						results[n] = append(results[n], m.subject)
					}
					if random.IntN(40) == 0 { // slow for a moment
						<-time.After(3 * time.Millisecond)
					}
				}
				s.end(t)
			}
		})
	}
	group.Wait()
	for id := range want {
		var log []string
		err := w.db.View(t.Context(), tenant, func(r store.Reader) error {
			entries, err := r.ShipmentEntries(id, "", 1_000_000)
			for _, e := range entries {
				log = append(log, e.After.GetSubject())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for n, seen := range results {
			if topics[n] == id && !slices.Equal(seen, log) {
				t.Errorf("stream %d of %q saw %d entries, not the %d of the log in their order", n, id, len(seen),
					len(log))
			}
		}
	}
}

// TestSnapshotInPages sends the state of many resources, with changes on the way.
func TestSnapshotInPages(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{0, 1, Batch - 1, Batch, Batch + 1, 3*Batch + 7} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			t.Parallel()
			w := newOne(t)
			var ids []string
			for n := range rows {
				ids = append(ids, fmt.Sprintf("%06d", n))
			}
			w.insert(t, ids...)
			watched := Watched[*message]{Topic: Topic{Tenant: tenant}, Feed: w.feed}
			before, err := w.feed.tails.Head(t.Context(), w.feed.log)
			if err != nil {
				t.Fatal(err)
			}
			var seen, tokens []string
			pages, held := 0, 0
			present, err := SendAll(t.Context(), w.streams, watched,
				func(r store.Reader, page store.Page) ([]*store.Shipment, error) {
					pages++
					list, err := r.Shipments(store.ShipmentFilter{}, page)
					held += len(list)
					return list, err
				}, func(row *store.Shipment) string { return row.ID }, func(row *store.Shipment, token string) error {
					if most := Batch + 1; held > most {
						t.Errorf("%d rows are held, want at most %d", held, most)
					}
					held--
					seen, tokens = append(seen, row.ID), append(tokens, token)
					if len(seen) == 1 { // A change while the snapshot is under way comes behind it.
						w.append(t, row.ID, "change")
					}
					return nil
				})
			if err != nil || present.Sent != (rows > 0) || !slices.Equal(seen, ids) {
				t.Fatalf("%d of %d rows were sent, %t, %v", len(seen), rows, present.Sent, err)
			}
			if want := rows/Batch + 1; pages != want {
				t.Errorf("%d pages were read, want %d", pages, want)
			}
			for i, token := range tokens {
				if want := i == rows-1; (token != "") != want {
					t.Errorf("message %d of %d has the token %q", i, rows, token)
				}
			}
			if present.At != before { // Else what comes while the rows are read would be missing.
				t.Fatalf("the events follow from %s, want %s, which was the end when the first row was read", present.At,
					before)
			}
			if rows == 0 {
				return
			}
			if got, err := w.feed.place(watched.Topic, tokens[rows-1]); got != present.At || err != nil {
				t.Error("the token stands for another place than the events follow from")
			}
			w.watch(t, "", tokens[rows-1]).want(t, "change")
		})
	}
}

// TestNothingTwiceWithTheState has changes come while the present state is sent: those of a row that was sent before
// come as events, those that its page had already do not, and what follows does.
func TestNothingTwiceWithTheState(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	var ids []string
	for n := range Batch + 1 {
		ids = append(ids, fmt.Sprintf("%06d", n))
	}
	w.insert(t, ids...)
	first, last := ids[0], ids[Batch]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	messages, ended := make(chan string, 100), make(chan error, 1)
	watched := Watched[*message]{
		Topic: Topic{Tenant: tenant}, Feed: w.feed,
		Send:      func(m *message) error { messages <- m.subject; return nil },
		Heartbeat: func(string) error { return nil },
	}
	watched.Snapshot = func() (Present, error) {
		return SendAll(ctx, w.streams, watched, func(r store.Reader, page store.Page) ([]*store.Shipment, error) {
			return r.Shipments(store.ShipmentFilter{}, page)
		}, func(row *store.Shipment) string { return row.ID }, func(row *store.Shipment, _ string) error {
			if row.ID == first {
				w.append(t, first, "of a row that was sent")
				w.append(t, last, "of one that is read later")
				w.append(t, last, "of one that is read later, too")
			}
			return nil
		})
	}
	go func() { ended <- Run(ctx, w.streams, watched, "") }()
	if got := <-messages; got != "of a row that was sent" {
		t.Errorf("the first event is %q", got)
	}
	w.append(t, last, "after the state")
	w.append(t, last, "after that")
	for _, want := range []string{"after the state", "after that"} {
		if got := <-messages; got != want {
			t.Errorf("the next event is %q, want %q", got, want)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ended with %v", err)
	}
}

// TestEnds ends streams in all ways but the caller's.
func TestEnds(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a", "b")
	one, all := w.watch(t, "a", ""), w.watch(t, "", "")
	early := one.want(t, "").token
	token := all.want(t, "").token
	over := func(tx store.Tx) error {
		return tx.AppendShipment("a", &documentsv1.Shipment{Subject: "over", Status: documentsv1.Shipment_FAILED})
	}
	w.update(t, over)
	one.want(t, "over")
	if err := <-one.ended; err != nil {
		t.Errorf("a stream that is over ended with %v", err)
	} else {
		one.ended <- nil
	}
	all.want(t, "over")
	w.append(t, "b", "after")
	all.want(t, "after")
	late := w.watch(t, "a", early)
	late.want(t, "over")
	if err := <-late.ended; err != nil {
		t.Errorf("a stream that was over already ended with %v", err)
	} else {
		late.ended <- nil
	}
	foreign := w.watch(t, "a", token)
	if err := <-foreign.ended; kerr.Reason(err) != errorv1.Error_INVALID_FIELD {
		t.Errorf("a token of another stream: %v", err)
	} else {
		foreign.ended <- err
	}
	for _, bad := range []string{"word", token + "A", newOne(t).token(t)} {
		s := w.watch(t, "", bad)
		if err := <-s.ended; kerr.Reason(err) != errorv1.Error_INVALID_FIELD {
			t.Errorf("the token %q: %v", bad, err)
		} else {
			s.ended <- err
		}
	}
	s := w.watch(t, "", "")
	s.want(t, "")
	close(w.stop)
	if err := <-s.ended; kerr.Reason(err) != errorv1.Error_GATEWAY_STOPPING {
		t.Errorf("a gateway that stops: %v", err)
	} else {
		s.ended <- err
	}
}

// token is one of this world's, for the same topic as another world's.
func (w *world) token(t *testing.T) string {
	t.Helper()
	at, err := w.db.System().Head(t.Context(), store.ShipmentLog)
	if err != nil {
		t.Fatal(err)
	}
	return w.feed.token(Topic{Tenant: tenant}, at)
}

// TestStoreThatDoesNotAnswer has the tailer fail for some time: nothing is lost.
func TestStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a")
	var broken atomic.Bool
	var tried atomic.Int32
	tail := w.feed.tail
	w.feed.tail = func(ctx context.Context, after store.Cursor, limit int) ([]*entry[*message], error) {
		tried.Add(1)
		if broken.Load() {
			return nil, errors.New("the store does not answer")
		}
		return tail(ctx, after, limit)
	}
	s := w.watch(t, "", "")
	s.want(t, "")
	w.append(t, "a", "before")
	s.want(t, "before")
	broken.Store(true)
	before := tried.Load()
	w.append(t, "a", "meanwhile")
	for limit := time.Now().Add(10 * time.Second); tried.Load() == before; {
		if time.Now().After(limit) {
			t.Fatal("the tailer was not woken")
		}
	}
	broken.Store(false)
	s.want(t, "meanwhile")
	w.append(t, "a", "after")
	s.want(t, "after")
}

// TestTailerThatGaveUp has the tailer's place be refused, but not those of the streams: they go on with another tailer,
// and miss nothing.
func TestTailerThatGaveUp(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a", "b")
	var refuse atomic.Bool
	tail := w.feed.tail
	w.feed.tail = func(ctx context.Context, after store.Cursor, limit int) ([]*entry[*message], error) {
		if refuse.Swap(false) {
			return nil, store.ErrCursor
		}
		return tail(ctx, after, limit)
	}
	one, all := w.watch(t, "a", ""), w.watch(t, "", "")
	one.want(t, "")
	all.want(t, "")
	for n := range 20 { // once a stream has caught up, what it receives comes by the tailer
		w.append(t, "a", fmt.Sprint(n))
		one.want(t, fmt.Sprint(n))
		all.want(t, fmt.Sprint(n))
	}
	refuse.Store(true)
	w.append(t, "b", "refused")
	all.want(t, "refused")
	for n := range 20 {
		w.append(t, "a", fmt.Sprint(n))
		one.want(t, fmt.Sprint(n))
		all.want(t, fmt.Sprint(n))
	}
	if tails := w.tails.Load(); tails != 1 {
		t.Errorf("%d tailers are at work, want 1", tails)
	}
}

// handed gives the subjects of the entries that wait for a stream.
func handed(s *subscription[*message]) (ats []store.Cursor) {
	for len(s.entries) > 0 {
		ats = append(ats, (<-s.entries).at)
	}
	return ats
}

// entriesOf makes entries of the log, as the tailer reads them.
func entriesOf(from, to int) (page []*entry[*message]) {
	for n := from; n < to; n++ {
		at := store.NewCursor(store.ShipmentLog, "epoch", int64(n))
		page = append(page, &entry[*message]{about: Topic{Tenant: tenant, ID: "a"}, at: at})
	}
	return page
}

// TestNothingBehindAGap has a stream fall behind and then take some of what it has: what comes behind the entries that
// were left out is not handed to it before it has read them.
func TestNothingBehindAGap(t *testing.T) {
	t.Parallel()
	f := newOne(t).feed
	s, err := f.subscribe(t.Context(), Topic{Tenant: tenant}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer f.unsubscribe(s)
	f.deliver(f.tailer, entriesOf(0, buffered+1))
	if len(s.behind) != 1 {
		t.Error("the stream is not told that it fell behind")
	}
	for range buffered / 2 {
		<-s.entries
	}
	f.deliver(f.tailer, entriesOf(buffered+1, buffered+2))
	if rest := handed(s); len(rest) != buffered-buffered/2 {
		t.Errorf("%d entries wait, want %d", len(rest), buffered-buffered/2)
	}
	if err := f.refresh(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	f.deliver(f.tailer, entriesOf(buffered+2, buffered+3))
	if rest := handed(s); len(rest) != 1 {
		t.Errorf("after the stream has begun anew, %d entries wait, want 1", len(rest))
	}
}

// TestOneTailerAtATime has the tailer of former streams still be at work when the next one has begun: two would hand
// over entries out of order.
func TestOneTailerAtATime(t *testing.T) {
	t.Parallel()
	f := newOne(t).feed
	former, err := f.subscribe(t.Context(), Topic{Tenant: tenant}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	late := f.tailer
	f.unsubscribe(former)
	s, err := f.subscribe(t.Context(), Topic{Tenant: tenant}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer f.unsubscribe(s)
	f.deliver(late, entriesOf(0, 1))
	if rest := handed(s); len(rest) != 0 {
		t.Errorf("a former tailer handed over %d entries", len(rest))
	}
	f.giveUp(late)
	if f.tailer == nil || len(s.behind) != 0 {
		t.Error("a former tailer ended the present one")
	}
}

// TestTokenOfLostTime resumes streams with tokens that were made with this store's keys, for places that it does not
// have: it was restored to an earlier state, with another epoch or without. Their callers watch anew.
func TestTokenOfLostTime(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a")
	w.append(t, "a", "kept")
	first := w.watch(t, "", "")
	place, err := w.feed.place(Topic{Tenant: tenant}, (<-first.messages).token)
	if err != nil {
		t.Fatal(err)
	}
	first.end(t)
	epoch := strings.Split(string(place), ".")[1]
	for what, at := range map[string]store.Cursor{
		"another epoch":  store.NewCursor(store.ShipmentLog, "0123456789abcdef", 1),
		"behind the end": store.NewCursor(store.ShipmentLog, epoch, 1<<40),
	} {
		for _, id := range []string{"", "a"} {
			late := w.watch(t, id, w.feed.token(Topic{Tenant: tenant, ID: id}, at))
			select {
			case err := <-late.ended:
				if kerr.Reason(err) != errorv1.Error_RESUME_TOKEN_EXPIRED {
					t.Errorf("%s: the stream of %q ended with %v, want that its token has expired", what, id, err)
				}
				late.ended <- err
			case m := <-late.messages:
				t.Errorf("%s: the stream of %q goes on with %v", what, id, m)
			}
		}
	}
}

// TestExpiredToken resumes a stream behind a place whose entries were trimmed since.
func TestExpiredToken(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a")
	for _, id := range []string{"", "a"} {
		first := w.watch(t, id, "")
		token := (<-first.messages).token
		first.end(t)
		w.append(t, "a", "lost")
		for range 2 { // The end is noted, then it is old.
			now := time.Now()
			if _, err := w.db.System().TrimLog(t.Context(), store.ShipmentLog, now, now, 100); err != nil {
				t.Fatal(err)
			}
		}
		late := w.watch(t, id, token)
		select {
		case err := <-late.ended:
			if kerr.Reason(err) != errorv1.Error_RESUME_TOKEN_EXPIRED {
				t.Errorf("the stream of %q ended with %v, want that its token has expired", id, err)
			}
			late.ended <- err
		case m := <-late.messages:
			t.Errorf("the stream of %q goes on with %v, although something is missing", id, m)
		}
		w.append(t, "a", "found")
		again := w.watch(t, id, "")
		if m := <-again.messages; m.token == "" || m.subject != "" {
			t.Errorf("the stream begins anew with %v", m)
		}
	}
}

// told is a log's tails of which a test decides when they wake.
type told struct {
	store.Tails

	wake chan store.Cursor
}

func (d told) Subscribe(store.Log) (<-chan store.Cursor, func()) { return d.wake, func() {} }

// TestToldAgain tells the tailer of one entry as often as processes do: by its commit, by another process and by a
// look. It reads once, but whatever it has not read it does read, and also when it is not told how far.
func TestToldAgain(t *testing.T) {
	t.Parallel()
	w := newOne(t)
	w.insert(t, "a")
	wake := make(chan store.Cursor)
	w.feed.tails = told{w.db.System(), wake}
	tail, reads := w.feed.tail, 0 // by the tailer alone, until it takes the last wake-up
	w.feed.tail = func(ctx context.Context, after store.Cursor, limit int) ([]*entry[*message], error) {
		reads++
		return tail(ctx, after, limit)
	}
	s := w.watch(t, "", "")
	s.want(t, "")
	head := func() store.Cursor {
		at, err := w.db.System().Head(t.Context(), store.ShipmentLog)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	before, want := head(), 1 // the first read, when it begins
	wake <- before            // Who takes it has done with that.
	for _, c := range []struct {
		add  string
		told func() store.Cursor
		read int
	}{
		{"one", head, 1},
		{"", head, 0},
		{"", head, 0},
		{"", func() store.Cursor { return before }, 1}, // The log may have gone back.
		{"", func() store.Cursor { return "" }, 1},
		{"two", head, 1},
		{"", head, 0},
	} {
		want += c.read
		if c.add == "" {
			wake <- c.told()
			continue
		}
		wake <- head() // Else the read before might find what is added now.
		w.append(t, "a", c.add)
		wake <- c.told()
		s.want(t, c.add)
	}
	wake <- head() // Who takes it has done with all before.
	if reads != want {
		t.Errorf("the log was read %d times, want %d", reads, want)
	}
}
