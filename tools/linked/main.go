// Command linked tells what others wrote of a gateway:
//
//	go run ./linked notices .. linux/amd64 ...         fails when THIRD_PARTY_NOTICES is not up to date
//	go run ./linked notices -write .. linux/amd64 ...  writes it anew
//	go run ./linked sbom .. ../bin/gateway             prints a binary's bill of materials (CycloneDX, JSON)
//
// The notices are those of all modules that a gateway for any of the systems links. A licence that this command does
// not know fails it: somebody has to decide whether it may be linked.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "linked:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage: linked notices [-write] DIR OS/ARCH... | linked sbom DIR BINARY")

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	write := flags.Bool("write", false, "write the notices anew")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch rest := flags.Args(); {
	case args[0] == "notices" && len(rest) > 1:
		return notices(rest[0], rest[1:], *write)
	case args[0] == "sbom" && len(rest) == 2:
		return sbom(rest[0], rest[1], out)
	}
	return errUsage
}
