// Command cacerts prints the certificates of the public authorities that Mozilla trusts, as PEM, for the image, which
// has no system to take them from. They come from a pinned module and not from the machine that builds: the image is
// the same wherever it is built, and a company's own authority gets into none by accident.
package main

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"os"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue // trusted for some certificates alone, which a file of PEM cannot say
		}
		if err := pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			fail(err)
		}
	}
	if err := out.Flush(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cacerts:", err)
	os.Exit(1)
}
