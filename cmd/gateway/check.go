package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/providers"
)

// loginTimeout bounds one login of `check --online`.
const loginTimeout = 15 * time.Second

// runCheck says what is wrong with a configuration, by key and line and never by value.
func runCheck(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("check", "Says what is wrong with a configuration, by key and line and never by "+
		"value. What it takes, serve takes without a warning.", "gateway check --config kontor.yaml --online")
	path := flags.String("config", "kontor.yaml", "the configuration")
	online := flags.Bool("online", false, "also log in at each provider")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	cfg, err := config.Load(*path, checked)
	if err != nil {
		return err
	}
	wired, err := wire(ctx, cfg, wiring{})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: ok\n", *path)
	if !*online {
		return nil
	}
	failed := 0
	for _, tenant := range wired.tenantIDs() {
		for _, p := range wired.tenants[tenant].Providers {
			result := "logged in"
			if err := login(ctx, p); err != nil {
				failed++
				result = "login failed: " + providers.KindOf(err).String()
			}
			fmt.Fprintf(out, "tenants.%s.providers.%s: %s\n", tenant, p.ID, result)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of the providers did not take the credentials", failed)
	}
	return nil
}

func login(ctx context.Context, p *providers.Provider) error {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	return p.Session.Check(ctx)
}
