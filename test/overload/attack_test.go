package overload

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/test/worldtest"
)

const (
	mb = 1 << 20
	// mostAbove is how much more memory an attack may have the gateway use.
	mostAbove = 200 * mb
	// mostWatch is how much of it one reader of a tenant's consents who never reads may cost.
	mostWatch = mb
	// mostGarbage is how much the gateway may use that waits to be collected, however few attack it.
	mostGarbage = 64 * mb
	// connections and streams are those of a flood: 48,128 streams.
	connections, streams = 188, 256
)

// flood opens streams on connections of their own and sends a message on each. Nobody reads what comes.
func flood(t *testing.T, address string, connections, streams int, data []byte, pairs ...string) {
	t.Helper()
	var senders sync.WaitGroup
	for range connections {
		conn := dial(t, address)
		senders.Go(func() {
			// An error says that the gateway has closed the connection, as it may.
			_ = sendAll(conn, streams, data, pairs)
		})
	}
	senders.Wait()
}

func sendAll(conn net.Conn, streams int, data []byte, pairs []string) error {
	if err := conn.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return err
	}
	framer := http2.NewFramer(conn, nil)
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}); err != nil {
		return err
	}
	if err := framer.WriteWindowUpdate(0, 1<<30); err != nil {
		return err
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	all := append([]string{":method", "POST", ":scheme", "http", ":authority", "kontor"}, pairs...) // the path first
	all = append(all, "content-type", "application/grpc", "te", "trailers")
	for i := range streams {
		block.Reset()
		for j := 0; j < len(all); j += 2 {
			if err := encoder.WriteField(hpack.HeaderField{Name: all[j], Value: all[j+1]}); err != nil {
				return err
			}
		}
		id := uint32(2*i + 1)
		if err := framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true,
		}); err != nil {
			return err
		}
		if err := framer.WriteData(id, false, data); err != nil {
			return err
		}
	}
	return nil
}

// question is a request of reflection for the file with all of the consents' service.
func question(t *testing.T) []byte {
	t.Helper()
	name := "kontor.consent.v1.ConsentService"
	body := append([]byte{0x22, byte(len(name))}, name...)
	return append([]byte{0, 0, 0, 0, byte(len(body))}, body...)
}

// listing is a request for a page of a hundred consents.
func listing(t *testing.T) []byte {
	t.Helper()
	body, err := proto.Marshal(&consentv1.ListConsentsRequest{PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{0, 0, 0, 0, byte(len(body))}, body...)
}

// attack runs an attack and looks at the gateway's memory, and at whether it still answers. So many calls must have
// ended, and so many streams be open: else the attack has not arrived.
func (w *world) attack(t *testing.T, most int64, ended, open int, send func()) {
	t.Helper()
	stop := w.watchMemory()
	send()
	var calls, streams int
	for limit := time.Now().Add(worldtest.Patience); calls < ended || streams < open; {
		if time.Now().After(limit) {
			t.Errorf("%d calls have ended, want %d; %d streams are open, want %d", calls, ended, streams, open)
			break
		}
		time.Sleep(20 * time.Millisecond)
		calls, streams = w.counted(t)
	}
	conn, err := grpc.NewClient(w.gateway.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), worldtest.Patience)
	defer cancel()
	if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("health: %v", err)
	}
	if *full {
		time.Sleep(3 * time.Second) // What is under way arrives.
	}
	above := stop()
	t.Logf("%d MiB above idle, at most %d; %d calls have ended, %d streams are open", above/mb, most/mb, calls, streams)
	if above > most {
		t.Errorf("the gateway uses %d MiB more, at most %d are allowed", above/mb, most/mb)
	}
}

// TestAttacks sends what takes memory where there are no bounds.
func TestAttacks(t *testing.T) {
	conns, each := scaled(connections, 4), scaled(streams, 50)
	all := conns * each
	for name, c := range map[string]struct {
		most  int64
		ended int // calls that must have been looked at; of a flood's some are refused before that
		data  []byte
		pairs []string
	}{
		"reflection": {mostAbove, all / 2, question(t), []string{":path", reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName}},
		"health":     {mostAbove, all / 2, make([]byte, 5), []string{":path", healthpb.Health_Watch_FullMethodName}},
		"checks":     {mostAbove, 0, []byte{0, 0, 0}, []string{":path", healthpb.Health_Check_FullMethodName}},
		"headers": {mostAbove, all / 4, make([]byte, 5), []string{
			":path", consentv1.ConsentService_GetConsent_FullMethodName, "x-large", strings.Repeat("x", 11<<10),
		}},
		"reflection with a key": {mostAbove, all / 2, question(t), []string{
			":path", reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName,
			"authorization", "Bearer " + keyOf(reader),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 0)
			w.attack(t, c.most, c.ended, 0, func() {
				flood(t, w.gateway.GRPC, conns, each, c.data, c.pairs...)
			})
		})
	}
	t.Run("bodies without the scope", func(t *testing.T) {
		w := newWorld(t, 0)
		w.attack(t, mostAbove, 2*scaled(60, 10), 0, func() { bodies(t, w, reader) })
	})
	t.Run("answers to a client", func(t *testing.T) {
		w := newWorld(t, 100)
		// Pages of a hundred consents, 20 KB each. The window says that nobody reads them.
		w.attack(t, mostAbove, scaled(2000, 100), 0, func() {
			flood(t, w.gateway.GRPC, scaled(100, 4), scaled(200, 50), listing(t), ":path",
				consentv1.ConsentService_ListConsents_FullMethodName, "authorization", "Bearer "+keyOf(owner))
		})
	})
	t.Run("gzip bombs", func(t *testing.T) {
		w := newWorld(t, 0)
		// 4.5 MB that would unpack to gigabytes; nobody looks at what they are.
		data := append([]byte{1, 0, 0x44, 0, 0}, make([]byte, 16<<10)...)
		w.attack(t, mostAbove, scaled(300, 10), 0, func() {
			flood(t, w.gateway.GRPC, scaled(300, 10), 1, data, ":path",
				documentsv1.DocumentService_CreateShipment_FullMethodName,
				"authorization", "Bearer "+keyOf(owner), "grpc-encoding", "gzip")
		})
	})
	t.Run("connections", func(t *testing.T) {
		w := newWorld(t, 0)
		w.attack(t, mostAbove, 0, 0, func() {
			for range scaled(900, 20) {
				conn := dial(t, w.gateway.GRPC)
				_ = sendAll(conn, 0, nil, nil)
				dial(t, w.gateway.HTTP)
			}
		})
	})
}

// bodies sends 60 bodies of 15 MiB at one time over REST, and 60 over gRPC.
func bodies(t *testing.T, w *world, client string) {
	t.Helper()
	var senders sync.WaitGroup
	chunk := bytes.Repeat([]byte(" "), 64<<10)
	size := scaled(15*mb, 256<<10)
	for range scaled(60, 10) {
		conn := dial(t, w.gateway.HTTP)
		senders.Go(func() {
			_ = conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(conn, "POST /v1/shipments HTTP/1.1\r\nHost: kontor\r\nAuthorization: Bearer %s\r\n"+
				"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", keyOf(client), size)
			for range size / len(chunk) {
				if _, err := conn.Write(chunk); err != nil {
					return // The gateway has answered and left.
				}
			}
		})
	}
	calls, err := worldtest.Dial(w.gateway.GRPC, keyOf(client))
	if err != nil {
		t.Fatal(err)
	}
	defer calls.Close()
	for range scaled(60, 10) {
		senders.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if _, err := calls.Documents.CreateShipment(ctx, &documentsv1.CreateShipmentRequest{
				Shipment: &documentsv1.Shipment{Pdf: make([]byte, size)},
			}); err == nil {
				t.Error("it is taken")
			}
		})
	}
	senders.Wait()
}

// TestUnreadWatches: readers of all of a tenant's consents who never read.
func TestUnreadWatches(t *testing.T) {
	w := newWorld(t, scaled(20_000, 500))
	readers := scaled(100, 20)
	w.attack(t, max(int64(readers)*mostWatch, mostGarbage), 0, readers, func() {
		flood(t, w.gateway.GRPC, readers/2, 1, make([]byte, 5), ":path",
			consentv1.ConsentService_WatchConsents_FullMethodName, "authorization", "Bearer "+keyOf(owner))
		for range readers / 2 {
			fmt.Fprintf(dial(t, w.gateway.HTTP), "GET /v1/consents:watch HTTP/1.1\r\nHost: kontor\r\n"+
				"Authorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n", keyOf(owner))
		}
	})
}
