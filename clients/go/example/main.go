// Command example shows how a service in Go works with Kontor: it asks a customer for consent, follows what happens,
// and reads the bank data.
//
// story.go holds what there is to learn; this file only connects. Run it against the sandbox:
//
//	KONTOR_KEY=kontor_... go run ./clients/go/example
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// patience bounds the whole story, which takes about ten seconds.
const patience = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, env func(string) string, out io.Writer) error {
	address, key := env("KONTOR_ADDRESS"), env("KONTOR_KEY")
	if address == "" {
		address = "127.0.0.1:9090"
	}
	if key == "" {
		return errors.New("set KONTOR_KEY to the key that the sandbox prints")
	}
	conn, err := connect(address, key)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = tell(ctx, conn, out)
	return err
}

// connect prepares a connection on which every call carries the key. The sandbox listens on loopback without TLS;
// elsewhere use credentials.NewTLS, and have bearer require it.
func connect(address, key string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(bearer(key)),
	)
}

// bearer is a client key as credentials.PerRPCCredentials.
type bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (bearer) RequireTransportSecurity() bool { return false }
