package history

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Refs keeps how providers name consents, and what their adapters must remember of them.
type Refs struct{ Store *service.Store }

// Of names a consent at its provider. Where the adapter remembers something of it, that is read anew: another call
// may have changed it since the row was read.
func (r *Refs) Of(ctx context.Context, row *store.Consent) (providers.ConsentRef, error) {
	ref := providers.ConsentRef{
		ID: row.ProviderRef, PartnerBank: row.PartnerBank, Market: row.Market,
		Imported: row.Resource.GetOrigin() == consentv1.ConsentOrigin_IMPORTED,
	}
	if row.Resource.GetOrigin() != consentv1.ConsentOrigin_NATIVE && row.ProviderRef != "" {
		if err := r.share(ctx, row, &ref); err != nil {
			return ref, err
		}
	}
	if len(row.State) == 0 {
		return ref, nil
	}
	fresh, err := r.Store.Consent(ctx, row.Tenant, row.ID)
	if err != nil {
		return ref, service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
	}
	ref.State, ref.ID = secret.New(string(fresh.State)), fresh.ProviderRef
	return ref, nil
}

// share looks whether the user has two consents, one of them for data that the caller brought along, and tells which
// banks are whose. Whatever was once brought along under an id stays the imported consent's.
func (r *Refs) share(ctx context.Context, row *store.Consent, ref *providers.ConsentRef) error {
	return r.Store.View(ctx, row.Tenant, func(tx store.Reader) error {
		rows, err := tx.ConsentsByProviderRef(row.Provider, []string{row.ProviderRef})
		if err != nil {
			return err
		}
		own := row.Resource.GetOrigin() == consentv1.ConsentOrigin_IMPORTED
		for _, other := range rows {
			imported := other.Resource.GetOrigin() == consentv1.ConsentOrigin_IMPORTED
			if other.ID == row.ID || other.Ended || imported == own {
				continue
			}
			if own {
				other = row
			}
			events, err := tx.UnsettledEvents(other.ID)
			if err != nil {
				return err
			}
			ref.Share = &providers.Share{OfImported: own}
			for _, c := range consent.Derive(consentv1.DataCollection_VALUE_UNSPECIFIED, events).Connections {
				ref.Share.Imported = append(ref.Share.Imported, c.ID)
			}
			return nil
		}
		return nil
	})
}

// put writes into a row how a provider names its consent.
func (r *Refs) put(row *store.Consent, ref providers.ConsentRef) {
	row.ProviderRef, row.PartnerBank, row.State = ref.ID, ref.PartnerBank, []byte(ref.State.Reveal())
	row.Resource = proto.CloneOf(row.Resource)
	row.Resource.ProviderReference = optional.Of(ref.ID)
	if ref.PartnerBank != "" {
		row.Resource.PartnerBank = optional.Of(service.PartnerBankName(ref.PartnerBank))
	}
}

// Keeper keeps what the adapter of one provider must remember when it changes in the midst of a call.
func (r *Refs) Keeper(tenant, provider string) providers.StateKeeper {
	return keeper{refs: r, tenant: tenant, provider: provider}
}

type keeper struct {
	refs             *Refs
	tenant, provider string
}

// keepTimeout bounds how long a state that must not be lost is tried to be kept.
const keepTimeout = 20 * time.Second

// KeepState implements providers.StateKeeper. It goes on when the call that it belongs to ends: a provider that gave
// out a new token takes no old one any more.
func (k keeper) KeepState(ctx context.Context, ref providers.ConsentRef, state secret.String) error {
	ctx, cancel := context.WithTimeout(service.Patient(context.WithoutCancel(ctx)), keepTimeout)
	defer cancel()
	return k.refs.Store.Update(ctx, k.tenant, func(tx store.Tx) error {
		rows, err := tx.ConsentsByProviderRef(k.provider, []string{ref.ID})
		if err != nil {
			return err
		}
		kept := false
		for _, row := range rows {
			if row.Ended {
				continue
			}
			row.State = []byte(state.Reveal())
			if err := tx.UpdateConsent(row); err != nil {
				return err
			}
			kept = true
		}
		if !kept {
			return store.ErrNotFound
		}
		return nil
	})
}
