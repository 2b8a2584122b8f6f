// Command gateway is Kontor: one gRPC and REST service in front of several bank-data providers.
//
// This package holds the commands and the assembly. wire.go is the only file of the project that names the adapters.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // banks' dates are meant in their own zone, also on machines without a zone database

	"kontor.dev/kontor/internal/telemetry"
)

const usage = `Kontor, one service in front of several bank-data providers.

usage: gateway <command> [flags]

  sandbox      play all providers on this machine, with a walk-through; needs no account
  serve        run with a configuration: gateway serve --config kontor.yaml
  check        say what is wrong with a configuration; --online also logs in at each provider
  operations   print each provider's HTTP operations, and how sure their paths are
  keys new     make a client key, and the hash for the configuration
  keys store   make the key that seals what the store must not show
  audit export print the audit trail as JSON lines; works beside a running gateway
  audit verify say whether the audit trail is as it was sealed; works beside a running gateway
  backup       copy the store, and customers' keys apart; works beside a running gateway
  restore      make a store of a backup, without what was deleted since
  store copy   fill an empty database of another kind with the store
  migrate      bring the store's tables to this version's, without serving
  healthcheck  ask a running gateway whether it is ready, for containers
  version      say which version this is

gateway <command> --help says what a command does, with an example and its flags.
`

// errUsage says that the words were wrong and that this has been said.
var errUsage = errors.New("usage")

func main() {
	// net/http prints what a provider sends unasked to the standard log, word for word.
	log.SetOutput(io.Discard)
	os.Exit(command(os.Args[1:], os.Stdout, os.Stderr))
}

// lastWords is how long a reader of stderr who is slow is waited for at the end.
const lastWords = time.Second

// command runs a command until it ends or the process is told to stop, and gives the exit code. Nothing waits for who
// reads errOut.
func command(args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	lines := telemetry.NewLines(errOut)
	defer lines.Close(lastWords)
	err := run(ctx, args, out, lines)
	switch {
	case errors.Is(err, errHelped):
	case errors.Is(err, errUsage):
		return 2
	case err != nil:
		fmt.Fprintln(lines, "gateway:", err)
		return 1
	}
	return 0
}

// outliveReaders keeps a process alive whose output nobody reads any more: writing it fails instead.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(errOut, usage)
		return errUsage
	}
	command, args := args[0], args[1:]
	switch command {
	case "sandbox":
		return runSandbox(ctx, args, out, errOut)
	case "serve":
		return runServe(ctx, args, out, errOut)
	case "check":
		return runCheck(ctx, args, out, errOut)
	case "operations":
		return runOperations(ctx, args, out, errOut)
	case "keys":
		return runKeys(args, out, errOut)
	case "audit":
		return runAudit(ctx, args, out, errOut)
	case "backup":
		return runBackup(ctx, args, out, errOut)
	case "restore":
		return runRestore(ctx, args, out, errOut)
	case "store":
		return runStore(ctx, args, out, errOut)
	case "migrate":
		return runMigrate(ctx, args, out, errOut)
	case "version":
		return runVersion(args, out, errOut)
	case "healthcheck":
		return runHealthcheck(ctx, args, out, errOut)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(out, usage)
		return nil
	}
	fmt.Fprintf(errOut, "gateway: there is no command %q\n\n%s", command, usage)
	return errUsage
}
