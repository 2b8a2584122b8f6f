package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"

	"kontor.dev/kontor/internal/keys"
)

// keyPrefix marks client keys, so that scanners find one that leaked.
const keyPrefix = "kontor_"

// newKey makes a client key of 256 bits and its hash for the configuration.
func newKey() (key, hash string) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	key = keyPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	sum := sha256.Sum256([]byte(key))
	return key, hex.EncodeToString(sum[:])
}

func runKeys(args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("keys", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() { fmt.Fprintln(errOut, "usage: gateway keys new | store") }
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	switch {
	case flags.NArg() == 1 && flags.Arg(0) == "new":
	case flags.NArg() == 1 && flags.Arg(0) == "store":
		return printStoreKey(out)
	default:
		flags.Usage()
		return errUsage
	}
	key, hash := newKey()
	fmt.Fprintf(out, `key         %s
key_sha256  %s

The key is shown this once: give it to the client. Put the hash into kontor.yaml:

clients:
  - {id: CLIENT, tenant: default, key_sha256: %s, scopes: [consents.read]}
`, key, hash, hash)
	return nil
}

// printStoreKey makes a store key and prints it alone, so that it can be sent into a file.
func printStoreKey(out io.Writer) error {
	key, err := keys.New()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, key.Reveal())
	return err
}
