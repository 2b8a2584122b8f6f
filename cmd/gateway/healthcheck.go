package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

// runHealthcheck asks a running gateway whether it is ready, for containers: exit code 0 means yes.
func runHealthcheck(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := flag.NewFlagSet("healthcheck", flag.ContinueOnError)
	flags.SetOutput(errOut)
	admin := flags.String("admin", "127.0.0.1:8081", "address of the gateway's admin listener")
	live := flags.Bool("live", false, "ask only whether it lives")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	path := "/readyz"
	if *live {
		path = "/livez"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+*admin+path, nil)
	if err != nil {
		return fmt.Errorf("-admin: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
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
