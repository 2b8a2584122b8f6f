package main

import (
	"context"
	"log/slog"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/providers"
)

// served is what configurations can name that are to be served, and checked what is checked of them before: the same,
// but that `check` refuses secrets that everybody on the machine can read. `serve` warns: the mode of a mounted secret
// is no reason not to come back after a restart.
var (
	served  = config.Options{Kinds: known.Kinds, Store: known.Store, Check: inspectStart, WarnExposed: true}
	checked = config.Options{Kinds: known.Kinds, Store: known.Store, Check: inspectStart}
)

// inspectStart is inspect for a gateway that is to be started: it looks at where the store is to lie, too. SIGHUP does
// not: a store that fails is no reason to keep a key that is to go.
func inspectStart(cfg *config.Config) providers.Faults {
	faults := inspect(cfg)
	d, rest, err := driver(cfg.Store.Reveal())
	if err == nil {
		err = d.Usable(rest)
	}
	if err != nil {
		faults = append(faults, providers.Fault{Key: "store", Message: err.Error()})
	}
	return faults
}

// warn logs what is risky about a configuration.
func warn(cfg *config.Config, log *slog.Logger) {
	for _, w := range cfg.Warnings {
		log.Warn("the configuration is risky", "line", w.Line, "key", w.Path, "cause", w.Message)
	}
}

// inspect finds what is wrong with a configuration that is right in itself, without sending, opening or listening to
// anything.
func inspect(cfg *config.Config) providers.Faults {
	var faults providers.Faults
	if _, err := wire(context.Background(), cfg, wiring{}); err != nil {
		faults = append(faults, below("", err)...)
	}
	if cfg.TLS != nil {
		// The same files by the names that providers' certificates have.
		err := providers.TLS{
			CertFile: providers.File(cfg.TLS.CertFile), KeyFile: providers.File(cfg.TLS.KeyFile),
			CAFile: providers.File(cfg.TLS.ClientCAFile),
		}.Check()
		if err != nil {
			for _, fault := range below("tls", err) {
				if fault.Key == "tls.ca_file" {
					fault.Key = "tls.client_ca_file"
				}
				faults = append(faults, fault)
			}
		}
	}
	return faults
}
