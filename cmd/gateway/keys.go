package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/secret"
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
	if len(args) > 0 && args[0] == "store" {
		return runStoreKey(args[1:], out, errOut)
	}
	flags := newFlags("keys new | store",
		"Makes a client key with the hash that the configuration wants, or a store key.", "gateway keys new")
	if len(args) > 0 && args[0] == "new" {
		args = args[1:]
	} else if len(args) == 0 || !asksForHelp(args[0]) {
		return flags.refuse("the word new or store is missing", errOut)
	}
	if err := flags.parse(args, out, errOut); err != nil {
		return err
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

// runStoreKey prints a store key alone, so that it can be sent into a file: a new one, or one made from another.
func runStoreKey(args []string, out, errOut io.Writer) error {
	flags := newFlags("keys store",
		"Prints a store key: a new one, or one that takes the place of the one in use.",
		"(umask 077; gateway keys store --rotate /run/secrets/kontor-store > rotated)")
	rotate := flags.String("rotate", "", "add a new key to the store key in this file: it wraps, the older ones unwrap")
	newest := flags.String("newest", "", "take all but the newest out of the store key in this file")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var key secret.String
	var err error
	switch {
	case given["rotate"] && given["newest"]:
		return flags.refuse("--rotate and --newest are two steps", errOut)
	case given["rotate"]: // also without a name, as of a variable that is not set: a new key would not open the store
		key, err = fromStoreKey(*rotate, keys.Rotate)
	case given["newest"]:
		key, err = fromStoreKey(*newest, keys.Newest)
	default:
		key, err = keys.New()
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, key.Reveal())
	return err
}

// fromStoreKey makes a store key from the one in a file.
func fromStoreKey(path string, change func(secret.String) (secret.String, error)) (secret.String, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return secret.String{}, err
	}
	key, err := change(secret.New(strings.TrimSpace(string(text))))
	if err != nil {
		return secret.String{}, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}
