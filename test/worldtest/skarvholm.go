package worldtest

import (
	"context"
	"fmt"
	"regexp"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/example/played"
)

// Skarvholm does not exist. Its adapter is in the gateways that tests build, and in no other; one that KONTOR_GATEWAY
// names must have it, too.
var _ = editEverywhere("cmd/gateway/wire.go", wireSkarvholm)

// wireSkarvholm adds a word to each of the lists of wire.go, which is all that a further provider takes there.
func wireSkarvholm(source string) (string, error) {
	for _, add := range []struct {
		what string
		to   *regexp.Regexp // behind which it is added
		text string
	}{
		{"imports", regexp.MustCompile(`(?m)^import \($`), `
	"kontor.dev/kontor/test/example/played"
	example "kontor.dev/kontor/test/example/provider"`},
		{"kinds", regexp.MustCompile(`(?m)^var kinds = \[\]providers\.Kind\{[^{}]*[^{},]`), ", example.Kind"},
		{"dialects", regexp.MustCompile(`(?m)^var dialects = \[\]sandbox\.Dialect\{$`), `
	played.Dialect(played.Config{}),`},
	} {
		at := add.to.FindStringIndex(source)
		if at == nil {
			return "", fmt.Errorf("there is no list of %s", add.what)
		}
		source = source[:at[1]] + add.text + source[at[1]:]
	}
	return source, nil
}

var _ = Register(Provider{
	// What suites read without a customer's address is more than Skarvholm would take.
	Dialect: played.Dialect(played.Config{ReadsPerDay: 10_000}),
	Market:  sandbox.Norway,
	Approve: func(_ context.Context, at Scene, consent *consentv1.Consent) error {
		location, err := at.Played.Player.(*played.Server).Approve(consent.GetProviderReference())
		if err != nil {
			return err
		}
		return at.Visit(location)
	},
	// Nothing can be asked of it without a consent, so one is asked for.
	Probe: func(ctx context.Context, s *Stubs) error {
		const back = "https://app.example.com/back"
		_, err := s.Consents.CreateConsent(ctx, &consentv1.CreateConsentRequest{Consent: &consentv1.Consent{
			Provider: "providers/" + played.ID,
			RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of(back),
				Error:   optional.Of(back),
				Exit:    optional.Of(back),
			},
		}})
		return err
	},
	Login: played.OpLogin, Refresh: played.OpConsentToken,
	Read: played.OpListAccounts,
})
