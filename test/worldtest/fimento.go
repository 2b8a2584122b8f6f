package worldtest

import (
	"context"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/fimento"
)

var _ = Register(Provider{
	Dialect:  fimento.Dialect(fimento.Config{}),
	Market:   sandbox.Sweden,
	TakesPsu: true,
	Approve: func(ctx context.Context, at Scene, consent *consentv1.Consent) error {
		_, err := at.Stubs.Consents.SimulateDecision(ctx, &consentv1.SimulateDecisionRequest{
			Name: consent.GetName(), Decision: consentv1.Decision_APPROVED,
		})
		return err
	},
	Probe: func(ctx context.Context, s *Stubs) error {
		_, err := s.Consents.ListPartnerBanks(ctx, &consentv1.ListPartnerBanksRequest{})
		return err
	},
	Login: fimento.OpLogin,
	Read:  fimento.OpInsights,
})
