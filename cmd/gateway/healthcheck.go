package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// probe makes a client that asks the admin listener itself: no proxy, and nobody that it sends on to.
func probe(admin string, overTLS bool, ca string) (client *http.Client, scheme string, err error) {
	transport := &http.Transport{DisableKeepAlives: true}
	client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	switch {
	case ca != "":
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, "", errors.New("-ca: cannot be read")
		}
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(text) {
			return nil, "", errors.New("-ca: must hold certificates as PEM")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}
	case overTLS:
		// On this machine nobody is in between. Elsewhere the machine's authorities decide.
		host, _, _ := net.SplitHostPort(admin)
		address, err := netip.ParseAddr(host)
		here := host == "localhost" || err == nil && address.IsLoopback()
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		transport.TLSClientConfig.InsecureSkipVerify = here
	default:
		return client, "http://", nil
	}
	return client, "https://", nil
}

// runHealthcheck asks a running gateway whether it is ready, for containers: exit code 0 means yes.
func runHealthcheck(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("healthcheck",
		"Asks a running gateway whether it is ready, for containers: exit code 0 means yes.",
		"gateway healthcheck --admin 127.0.0.1:8081 --tls")
	admin := flags.String("admin", "127.0.0.1:8081", "address of the gateway's admin listener")
	live := flags.Bool("live", false, "ask only whether it lives")
	overTLS := flags.Bool("tls", false, "the admin listener speaks TLS (tls.admin); its certificate is not verified "+
		"on this machine, whose name it does not have")
	ca := flags.String("ca", "", "file with the authorities that the certificate must come from, verified with the "+
		"name or address of --admin; says --tls")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	client, scheme, err := probe(*admin, *overTLS, *ca)
	if err != nil {
		return err
	}
	path := "/readyz"
	if *live {
		path = "/livez"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+*admin+path, nil)
	if err != nil {
		return fmt.Errorf("-admin: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the gateway does not answer: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(out, io.LimitReader(resp.Body, 16<<10)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", path, resp.Status)
	}
	return nil
}
