package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
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
	flags.Usage = func() { fmt.Fprintln(errOut, "usage: gateway keys new") }
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	if flags.NArg() != 1 || flags.Arg(0) != "new" {
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
