package server_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/keys/keystest"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/sqlite"
	"kontor.dev/kontor/internal/telemetry"
	"kontor.dev/kontor/internal/watch"
)

// bare is a server of gRPC that sends a message to all of its streams, and nothing else.
type bare struct {
	consentv1.UnimplementedConsentServiceServer

	mu      sync.Mutex
	streams []chan *consentv1.WatchConsentsResponse
}

func (s *bare) WatchConsents(
	_ *consentv1.WatchConsentsRequest, stream consentv1.ConsentService_WatchConsentsServer,
) error {
	messages := make(chan *consentv1.WatchConsentsResponse, 1)
	s.mu.Lock()
	s.streams = append(s.streams, messages)
	s.mu.Unlock()
	if err := stream.Send(&consentv1.WatchConsentsResponse{}); err != nil {
		return err
	}
	for {
		select {
		case m := <-messages:
			if err := stream.Send(m); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// watchers are streams of a server that have all begun. Each is told when all have an event, which was at last.
type watchers struct {
	got  atomic.Int64
	each chan struct{}
	last time.Time
}

// newWatchers opens streams, as many on a connection as it may have.
func newWatchers(b *testing.B, address string, streams int) *watchers {
	b.Helper()
	w := &watchers{each: make(chan struct{}, 1)}
	var begun sync.WaitGroup
	var client consentv1.ConsentServiceClient
	for n := range streams {
		if n%250 == 0 {
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { conn.Close() })
			client = consentv1.NewConsentServiceClient(conn)
		}
		stream, err := client.WatchConsents(as(b.Context(), allKey), &consentv1.WatchConsentsRequest{})
		if err != nil {
			b.Fatal(err)
		}
		begun.Add(1)
		go func() {
			_, err := stream.Recv()
			for begun.Done(); err == nil; {
				if _, err = stream.Recv(); err == nil && w.got.Add(1)%int64(streams) == 0 {
					w.last = time.Now()
					w.each <- struct{}{}
				}
			}
		}()
	}
	begun.Wait()
	return w
}

// BenchmarkWatchers sends one event to 1,000 streams of gRPC on loopback, by turns over a feed and the server with its
// guard, and over grpc-go alone. It reports the time from the event's message to its last receiver for both, and their
// ratio.
func BenchmarkWatchers(b *testing.B) {
	const streams, tenant = 1000, "one"
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "kontor.db"), keystest.StoreKey(), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	update := func(do func(store.Tx) error) {
		if err := db.Update(context.Background(), tenant, do); err != nil {
			b.Fatal(err)
		}
	}
	update(func(tx store.Tx) error {
		return tx.InsertShipment(&store.Shipment{Tenant: tenant, ID: "a", Resource: &documentsv1.Shipment{}})
	})
	message := &consentv1.WatchConsentsResponse{Consent: &consentv1.Consent{
		Name: "consents/1", Reference: optional.Of(strings.Repeat("r", 500)),
	}}
	var made time.Time
	log := slog.New(slog.DiscardHandler)
	feed := watch.NewFeed(watch.Source[store.ShipmentEntry, *broadcast.Message]{
		Log: store.ShipmentLog, Tokens: service.Tokens{Keys: db.Keys()}, Logger: log,
		Tails: db.System(), Tail: db.System().TailShipments,
		Read: func(r store.Reader, topic watch.Topic, after store.Cursor, limit int) ([]store.ShipmentEntry, error) {
			return r.ShipmentEntries(topic.ID, after, limit)
		},
		Of: func(e store.ShipmentEntry) (watch.Topic, store.Cursor, bool) {
			return watch.Topic{Tenant: e.Tenant, ID: e.ShipmentID}, e.Cursor, false
		},
		Message: func(store.ShipmentEntry, string) *broadcast.Message {
			made = time.Now()
			return broadcast.New(func() proto.Message { return message })
		},
	})
	run := &watch.Streams{
		Store: &service.Store{Store: db, Log: log}, Stopping: make(chan struct{}), Heartbeat: time.Hour,
	}
	h := start(b, func(o *server.Options) {
		o.Limits.RequestsPerSecond, o.Limits.Burst = 1_000_000, 1_000_000
		if o.Telemetry, err = telemetry.New(b.Context(), telemetry.Options{Log: &output{}}); err != nil {
			b.Fatal(err)
		}
	})
	h.consents.watch = func(_ *consentv1.WatchConsentsRequest, s consentv1.ConsentService_WatchConsentsServer) error {
		w := watch.Watched[*broadcast.Message]{
			Topic: watch.Topic{Tenant: tenant}, Feed: feed,
			Send:      func(m *broadcast.Message) error { return s.SendMsg(m) },
			Heartbeat: func(string) error { return s.Send(&consentv1.WatchConsentsResponse{}) },
			Snapshot: func() (p watch.Present, err error) {
				p.At, err = db.System().Head(s.Context(), store.ShipmentLog)
				return p, err
			},
		}
		return watch.Run(s.Context(), run, w, "")
	}
	alone, library := &bare{}, grpc.NewServer()
	consentv1.RegisterConsentServiceServer(library, alone)
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = library.Serve(listener) }()
	defer library.Stop()
	ours, theirs := newWatchers(b, h.Addresses().GRPC, streams), newWatchers(b, listener.Addr().String(), streams)
	var took, bareTook time.Duration
	for b.Loop() {
		update(func(tx store.Tx) error { return tx.AppendShipment("a", &documentsv1.Shipment{}) })
		<-ours.each
		took += ours.last.Sub(made)
		began := time.Now()
		for _, stream := range alone.streams {
			stream <- message
		}
		<-theirs.each
		bareTook += theirs.last.Sub(began)
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N), "µs/event")
	b.ReportMetric(float64(bareTook.Microseconds())/float64(b.N), "µs/bare")
	b.ReportMetric(float64(took)/float64(bareTook), "ratio")
}
