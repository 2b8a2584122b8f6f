package crash

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/example/played"
)

// Skarvholm's operations, as a gate names them: "v1" has a digit, and so passes for an id.
const (
	opToken         = "POST /oauth/token"
	opCreateConsent = "POST /*/consents"
	opEndConsent    = "DELETE /*/consents/*"
)

// aNorwegianConsent is a consent at Skarvholm, which does not recognise a repetition.
var aNorwegianConsent = consentKind(played.ID, false, false)

var _ = providers.Add(played.ID, provider{
	operations: []creating{
		{
			name: "CreateConsent/Skarvholm/new-customer", prepare: createConsent(played.ID, "NO", noCustomer),
			effects: norwegianConsents, steps: []step{{opToken, false}, {opCreateConsent, false}},
		},
		{
			name: "CreateConsent/Skarvholm/known-customer", prepare: createConsent(played.ID, "NO", plainCustomer),
			effects: norwegianConsents, steps: []step{{opToken, false}, {opCreateConsent, false}},
		},
	},
	kinds: []*kind{aNorwegianConsent},
	accounts: func(t *testing.T, w *world, all []*request) {
		if n, asked := norwegianConsents(w), len(ofKind(all, aNorwegianConsent)); n > asked {
			t.Errorf("Skarvholm made %d consents, and %d were asked for", n, asked)
		}
	},
	audited: skarvholmsAudited,
	markets: []string{"NO"}, receipt: "consent", counts: 1, deletes: played.OpDeleteConsent,
	gone: func(t *testing.T, w *world) {
		if n := len(w.gates[played.ID].did(opEndConsent)); n != norwegianConsents(w) || n != 1 {
			t.Errorf("Skarvholm made %d consents and ended %d, want 1", norwegianConsents(w), n)
		}
	},
})

// norwegianConsents counts the consents that Skarvholm made.
func norwegianConsents(w *world) int {
	return distinct(w.gates[played.ID].did(opCreateConsent), "consentId")
}

// skarvholmsAudited are the calls that Skarvholm is asked for.
func skarvholmsAudited(w *world, check func(audited) proto.Message) {
	c, t := w.client, w.t
	made := check(audited{method: "CreateConsent", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.CreateConsent(ctx, consentRequest("", played.ID, "", "")))
	}})
	renewed := check(audited{method: "RenewConsentLink", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.RenewConsentLink(ctx, &consentv1.RenewConsentLinkRequest{Name: named(made)}))
	}})
	w.approve(renewed.(*consentv1.Consent))
	w.eventually("the data is there", func() bool {
		return must(c.Consents.GetConsent(w.context(), &consentv1.GetConsentRequest{
			Name: named(made), Refresh: true,
		}))(t).GetDataStage() == consentv1.DataStage_READY
	})
	check(audited{method: "ListAccounts", about: named(made), do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: named(made)}))
	}})
	check(audited{method: "StreamTransactions", about: named(made),
		do: func(ctx context.Context) (proto.Message, error) {
			stream, err := c.Banking.StreamTransactions(ctx, &bankingv1.StreamTransactionsRequest{Parent: named(made)})
			for err == nil {
				_, err = stream.Recv()
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return nil, err
		}})
	check(audited{
		method: "AddBank", outcome: "CAPABILITY_UNSUPPORTED", about: named(made),
		do: func(ctx context.Context) (proto.Message, error) {
			return call(c.Consents.AddBank(ctx, &consentv1.AddBankRequest{Name: named(made)}))
		},
	})
	check(audited{method: "RevokeConsent", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.RevokeConsent(ctx, &consentv1.RevokeConsentRequest{Name: named(made)}))
	}})
}
