package server_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/telemetry"
)

// TestProbesWhileStarting asks before there is a server: who lives and is not ready yet says so, and has metrics.
func TestProbesWhileStarting(t *testing.T) {
	tel, err := telemetry.New(t.Context(), telemetry.Options{Log: &output{}})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := server.StartAdmin("127.0.0.1:0", nil, tel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	if _, err := server.StartAdmin(admin.Address(), nil, tel); err == nil {
		t.Error("two listen at one address")
	}
	ask := func(path string) reply {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin.Address()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, r)
	}
	if r := ask("/livez"); r.status != 200 {
		t.Errorf("livez: %d %s", r.status, r.body)
	}
	if r := ask("/readyz"); r.status != 503 ||
		strings.TrimSpace(r.body) != `{"failing":["starting"],"status":"not ready"}` {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
	if r := ask("/metrics"); r.status != 200 || !strings.Contains(r.body, "kontor_build_info") {
		t.Errorf("metrics: %d", r.status)
	}
	h := start(t, func(o *server.Options) { o.Admin, o.Listen.Admin = admin, "" })
	if r := ask("/readyz"); r.status != 200 {
		t.Errorf("readyz: %d %s", r.status, r.body)
	}
	if h.Addresses().Admin != admin.Address() {
		t.Errorf("the server says %s, want %s", h.Addresses().Admin, admin.Address())
	}
}

// TestReadinessSaysWhy: a check may tell in a word what fails, and nothing else of its error is shown.
func TestReadinessSaysWhy(t *testing.T) {
	h := start(t, func(o *server.Options) {
		o.Ready = map[string]func(context.Context) error{
			"store": func(context.Context) error {
				return &store.FaultError{Kind: store.FaultFull, Err: errors.New(canary)}
			},
			"other": func(context.Context) error { return errors.New(canary) },
		}
	})
	want := `{"failing":["other","store"],"reasons":{"store":"full"},"status":"not ready"}`
	if r := h.adminGet(t, "/readyz"); r.status != 503 || strings.TrimSpace(r.body) != want {
		t.Errorf("readyz: %d %s, want %s", r.status, r.body, want)
	}
}

// TestStreamsPerConnectionAreBounded reads what the gRPC listener allows a connection. Without a bound, one connection
// may open as many streams as it likes.
func TestStreamsPerConnectionAreBounded(t *testing.T) {
	h, options := prepare(t)
	options.Limits = config.Defaults().Limits
	var err error
	if h.Server, err = server.New(options); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Stop(context.Background()) })
	conn, err := net.Dial("tcp", h.Addresses().GRPC)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		settings, ok := frame.(*http2.SettingsFrame)
		if !ok || settings.IsAck() {
			continue
		}
		if most, ok := settings.Value(http2.SettingMaxConcurrentStreams); !ok || most == 0 || most > 1000 {
			t.Errorf("a connection may open %d streams, told %t", most, ok)
		}
		return
	}
}
