//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/store/postgres/postgrestest"
)

// TestQuotaOfTwoGateways has a client call two gateways in turn that share a database: both refuse it long before it
// had a quota at each.
func TestQuotaOfTwoGateways(t *testing.T) {
	t.Parallel()
	const burst, pause = 40, 100 * time.Millisecond
	storeKey, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	client, provider, store := newListed("one", ""), newBank(t), postgrestest.NewSchema(t)
	var gateways [2]providerv1.ProviderServiceClient
	for n := range gateways {
		dir := t.TempDir()
		write(t, dir, "store.key", storeKey.Reveal())
		write(t, dir, "finoos.secret", "secret")
		configure(t, dir, provider.URL, client)
		path := filepath.Join(dir, "kontor.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "kontor.yaml", "limits: {requests_per_second: 1, burst: 40}\n"+
			strings.Replace(string(text), "sqlite:"+dir+"/kontor.db", "postgres:"+store, 1))
		conn, err := grpc.NewClient(startProcess(t, dir).grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		gateways[n] = providerv1.NewProviderServiceClient(conn)
	}
	granted, refused := 0, 0 // in succession
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; refused < len(gateways) && granted < 2*burst; n++ {
		_, err := gateways[n%2].ListProviders(client.as(t.Context()), &providerv1.ListProvidersRequest{})
		switch status.Code(err) {
		case codes.OK:
			granted++
			refused = 0
		case codes.ResourceExhausted:
			refused++
		default:
			t.Fatal(err)
		}
		<-tick.C
	}
	t.Logf("%d calls were granted", granted)
	if granted >= 2*burst || granted < burst {
		t.Errorf("%d calls were granted, want a burst of %d and little more", granted, burst)
	}
}
