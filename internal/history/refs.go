package history

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// Refs keeps how providers name consents, and what their adapters must remember of them. That is sealed with the
// store key, for its consent alone: moved to another row it does not open.
type Refs struct {
	Store *service.Store
	Keys  *keys.Keys
	Log   *slog.Logger
}

// Of names a consent at its provider. Where the adapter remembers something of it, that is read anew: another call
// may have changed it since the row was read.
func (r *Refs) Of(ctx context.Context, row *store.Consent) (providers.ConsentRef, error) {
	ref := providers.ConsentRef{ID: row.ProviderRef, PartnerBank: row.PartnerBank, Market: row.Market}
	if len(row.State) == 0 {
		return ref, nil
	}
	var sealed []byte
	err := r.Store.View(ctx, row.Tenant, func(tx store.Reader) error {
		fresh, err := tx.Consent(row.ID)
		if err != nil {
			return service.Found(err, errorv1.Error_CONSENT_NOT_FOUND, "consent")
		}
		sealed, ref.ID = fresh.State, fresh.ProviderRef
		return nil
	})
	if err != nil {
		return ref, err
	}
	state, err := r.Keys.Open(keys.ProviderState, row.Tenant, row.ID, sealed)
	if err != nil {
		// To go on without it could end the consent at the provider, or here.
		r.Log.ErrorContext(ctx, "what an adapter remembers of a consent does not open",
			"consent", row.Resource.GetName(), "error", err.Error())
		return ref, kerr.New(errorv1.Error_INTERNAL, "what the gateway remembers of the consent cannot be read")
	}
	ref.State = secret.New(string(state))
	return ref, nil
}

// put writes into a row how a provider names its consent.
func (r *Refs) put(row *store.Consent, ref providers.ConsentRef) error {
	state, err := r.Keys.Seal(keys.ProviderState, row.Tenant, row.ID, []byte(ref.State.Reveal()))
	if err != nil {
		return err
	}
	row.ProviderRef, row.PartnerBank, row.State = ref.ID, ref.PartnerBank, state
	row.Resource = proto.CloneOf(row.Resource)
	row.Resource.ProviderReference = ref.ID
	if ref.PartnerBank != "" {
		row.Resource.PartnerBank = service.PartnerBankName(ref.PartnerBank)
	}
	return nil
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
const keepTimeout = 10 * time.Second

// KeepState implements providers.StateKeeper. It goes on when the call that it belongs to ends: a provider that gave
// out a new token takes no old one any more.
func (k keeper) KeepState(ctx context.Context, ref providers.ConsentRef, state secret.String) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
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
			row.State, err = k.refs.Keys.Seal(keys.ProviderState, row.Tenant, row.ID, []byte(state.Reveal()))
			if err != nil {
				return err
			}
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
