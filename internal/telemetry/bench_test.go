package telemetry_test

import (
	"io"
	"testing"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/telemetry"
)

// BenchmarkCall measures what counting a call costs, without its line in the log.
func BenchmarkCall(b *testing.B) {
	tel, err := telemetry.New(b.Context(), telemetry.Options{Log: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("of the API", func(b *testing.B) {
		method := tel.RPC.Method("kontor.consent.v1.ConsentService", "GetConsent", false)
		b.ReportAllocs()
		for b.Loop() {
			method.Start("grpc").End("OK", "")
		}
	})
	b.Run("of a provider", func(b *testing.B) {
		observer := tel.Observer("default")
		b.ReportAllocs()
		for b.Loop() {
			_, end := observer.Start(b.Context(), providers.CallInfo{
				Provider: "fimento", Operation: "accounts", Method: "GET", Attempt: 1,
			})
			end(providers.CallOutcome{OK: true, Status: 200, Bytes: 1700, RequestID: "id"})
		}
	})
}
