package main

import (
	"context"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/providers"
)

// served is what configurations can name that are to be served: `serve` takes one exactly when `check` does.
var served = config.Options{Kinds: known.Kinds, Store: known.Store, Check: inspect}

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
