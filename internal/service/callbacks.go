package service

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/consent"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/store"
)

const (
	// redirectRefresh bounds how long a customer's browser waits while the consent is read.
	redirectRefresh = 3 * time.Second
	// webhookRefs bounds how many of a webhook's words are taken for ids.
	webhookRefs = 64
)

// callback finds what a token is for.
func (s *Service) callback(ctx context.Context, kind store.CallbackKind, token string) (*store.Callback, error) {
	var cb *store.Callback
	err := s.view(ctx, func(r store.Reader) (err error) {
		cb, err = r.Callback(kind, sha256.Sum256([]byte(token)))
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !cb.ExpireTime.IsZero() && s.now().After(cb.ExpireTime) {
		return nil, kerr.ErrUnknownCallback
	}
	return cb, err
}

// Redirect takes a customer back from a provider's pages, with how it ended: success, error or exit. It gives the address to send the
// browser on to, which is the caller's own, unchanged.
func (s *Service) Redirect(ctx context.Context, token, outcome string, query url.Values) (string, error) {
	cb, err := s.callback(ctx, store.CallbackRedirect, token)
	if err != nil {
		return "", err
	}
	var row *store.Consent
	err = s.view(ctx, func(r store.Reader) (err error) {
		row, err = r.Consent(cb.Tenant, cb.Resource)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", kerr.ErrUnknownCallback
	}
	if err != nil {
		return "", err
	}
	if user := query.Get("userID"); user != "" && user != row.ProviderRef {
		return "", kerr.ErrUnknownCallback
	}
	location := map[string]string{
		"success": row.Redirects.GetSuccess(), "error": row.Redirects.GetError(), "exit": row.Redirects.GetExit(),
	}[outcome]
	if location == "" {
		return "", kerr.ErrUnknownCallback
	}
	if err := s.returned(ctx, cb, row, outcome); err != nil {
		// The customer must not suffer from it; polling makes up for it.
		s.log.WarnContext(ctx, "a redirect could not be noted", "consent", row.Resource.GetName(), "error", err.Error())
	}
	return location, nil
}

// returned notes how a visit ended. What the customer did is read from the provider.
func (s *Service) returned(ctx context.Context, cb *store.Callback, row *store.Consent, outcome string) error {
	if row.Ended {
		return nil
	}
	readCtx, cancel := context.WithTimeout(ctx, redirectRefresh)
	defer cancel()
	if fresh, err := s.refresh(readCtx, row); err == nil {
		row = fresh
	} else {
		s.follower.hint(ctx, row)
	}
	if cb.Flow == noFlow {
		return nil
	}
	if outcome == "success" && !s.confirms(row) {
		s.follower.hint(ctx, row)
		return nil
	}
	_, err := s.report(ctx, row, func(tx store.Tx, fresh *store.Consent) error {
		now := s.now()
		event := consent.LinkExited(cb.Flow, now)
		switch outcome {
		case "success":
			event = consent.Approved(cb.Flow, "The customer returned from the bank.", now)
		case "error":
			event = consent.LinkErrored(cb.Flow, consent.Error{
				Reason: errorv1.Error_AUTHORIZATION_FAILED, Message: "The provider returned the customer with an error.",
			}, now)
		}
		added, err := s.extend(tx, fresh, event)
		if err != nil || added == 0 {
			return err
		}
		return s.auditSelf(tx, fresh.Tenant, actorCustomer, "Redirect", fresh.Resource.GetName())
	})
	return err
}

// confirms tells whether a successful return stands for the customer's approval: where the provider keeps no record of decisions and a bank
// is connected. Elsewhere the provider itself reports the decision.
func (s *Service) confirms(row *store.Consent) bool {
	p, err := s.provider(row.Tenant, row.Provider)
	return err == nil && p.OneConsentPerUser && len(row.Resource.GetConnections()) > 0
}

// Webhook takes a provider's hint that something changed. Nothing in it is believed: consents that it names are read again.
func (s *Service) Webhook(ctx context.Context, provider, token string, body []byte) error {
	cb, err := s.callback(ctx, store.CallbackWebhook, token)
	if err != nil {
		return err
	}
	if cb.Provider != provider {
		return kerr.ErrUnknownCallback
	}
	refs := words(body)
	if len(refs) == 0 {
		return nil
	}
	var rows []*store.Consent
	err = s.view(ctx, func(r store.Reader) (err error) {
		rows, err = r.ConsentsByProviderRef(cb.Tenant, cb.Provider, refs)
		return err
	})
	if err != nil {
		return err
	}
	for _, row := range rows {
		s.follower.hint(ctx, row)
	}
	return nil
}

// words gives the strings in a JSON document that could be ids, those called _id or processId first. The payload is not documented: any word
// in it that names a consent is a hint that the consent changed.
func words(body []byte) []string {
	var document any
	if json.Unmarshal(body, &document) != nil {
		return nil
	}
	var first, rest []string
	var walk func(key string, value any, depth int)
	walk = func(key string, value any, depth int) {
		if depth > 8 || len(rest) >= webhookRefs {
			return
		}
		switch v := value.(type) {
		case map[string]any:
			for k, child := range v {
				walk(k, child, depth+1)
			}
		case []any:
			for _, child := range v {
				walk(key, child, depth+1)
			}
		case string:
			switch {
			case v == "" || len(v) > 128 || strings.ContainsAny(v, " \t\n"):
			case key == "_id" || strings.EqualFold(key, "processId"):
				first = append(first, v)
			default:
				rest = append(rest, v)
			}
		}
	}
	walk("", document, 0)
	first = append(first, rest...)
	return first[:min(len(first), webhookRefs)]
}

// ShipmentReport takes a provider's report on a shipment. The first report settles it; later ones change nothing.
func (s *Service) ShipmentReport(ctx context.Context, token string, query url.Values) error {
	cb, err := s.callback(ctx, store.CallbackShipment, token)
	if err != nil {
		return err
	}
	var status documentsv1.Shipment_Status
	switch strings.ToLower(param(query, "success")) {
	case "true":
		status = documentsv1.Shipment_DELIVERED
	case "false":
		status = documentsv1.Shipment_FAILED
	default:
		return kerr.ErrUnknownCallback
	}
	if param(query, "requestid") != cb.Resource {
		return kerr.ErrUnknownCallback
	}
	err = s.update(ctx, func(tx store.Tx) error {
		row, err := tx.Shipment(cb.Tenant, cb.Resource)
		if err != nil {
			return err
		}
		if settled(row.Resource.GetStatus()) {
			return nil
		}
		now := timestamppb.New(s.now())
		row.Resource.Status, row.Resource.UpdateTime, row.Resource.CompleteTime = status, now, now
		if err := s.storeShipment(tx, row); err != nil {
			return err
		}
		return s.auditSelf(tx, row.Tenant, "provider:"+row.Provider, "ShipmentReport", row.Resource.GetName())
	})
	if errors.Is(err, store.ErrNotFound) {
		return kerr.ErrUnknownCallback
	}
	return err
}

// param finds a query parameter whatever its letters' case.
func param(query url.Values, name string) string {
	for key, values := range query {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}
