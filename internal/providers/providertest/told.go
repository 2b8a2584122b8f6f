package providertest

import (
	"context"
	"iter"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/providers"
)

// OnlyTold has each message looked through that an adapter gives from here on: what the provider does not tell must be
// absent, never "", an unspecified enum or a message without content. It stands before the ports of p.
func OnlyTold(tb testing.TB, p *providers.Provider) {
	if p.Consents != nil {
		p.Consents = toldConsents{p.Consents, tb}
	}
	if p.Accounts != nil {
		p.Accounts = toldAccounts{p.Accounts, tb}
	}
	if p.Holdings != nil {
		p.Holdings = toldHoldings{p.Holdings, tb}
	}
	if p.Insights != nil {
		p.Insights = toldInsights{p.Insights, tb}
	}
	if p.PaymentPartners != nil {
		p.PaymentPartners = toldPartners{p.PaymentPartners, tb}
	}
	if p.Logos != nil {
		p.Logos = toldLogos{p.Logos, tb}
	}
}

// wantTold looks through a message of an adapter.
func wantTold(tb testing.TB, message proto.Message) {
	tb.Helper()
	if message == nil || !message.ProtoReflect().IsValid() {
		return
	}
	for _, path := range untold(message.ProtoReflect()) {
		tb.Errorf("%s is set, and says nothing", path)
	}
}

// untold gives the paths of fields that are set and say nothing.
func untold(m protoreflect.Message) []string {
	if m.Descriptor().ParentFile().Package() == "google.protobuf" {
		return nil
	}
	var found []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		path := string(m.Descriptor().Name()) + "." + string(field.Name())
		switch {
		case field.HasPresence() && !m.Has(field), isIdentifier(field), field.IsMap():
		case field.IsList():
			list := m.Get(field).List()
			for j := range list.Len() {
				found = append(found, untoldValue(path, field, list.Get(j))...)
			}
		default:
			found = append(found, untoldValue(path, field, m.Get(field))...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func untoldValue(path string, field protoreflect.FieldDescriptor, value protoreflect.Value) []string {
	switch field.Kind() {
	case protoreflect.StringKind:
		if value.String() == "" {
			return []string{path}
		}
	case protoreflect.EnumKind:
		if value.Enum() == 0 {
			return []string{path}
		}
	case protoreflect.MessageKind:
		if isEmpty(value.Message()) {
			return []string{path}
		}
		return untold(value.Message())
	}
	return nil
}

// isEmpty tells a message that has no content but could have: one of lists says that they are empty.
func isEmpty(m protoreflect.Message) bool {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); m.Has(field) || field.IsList() || !field.HasPresence() {
			return false
		}
	}
	return m.Descriptor().ParentFile().Package() != "google.protobuf"
}

// isIdentifier tells a resource's name, which is the service's to give.
func isIdentifier(field protoreflect.FieldDescriptor) bool {
	behaviour, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviour, annotations.FieldBehavior_IDENTIFIER)
}

type toldConsents struct {
	providers.Consents
	t testing.TB
}

// CreateConsent implements providers.Consents.
func (c toldConsents) CreateConsent(
	ctx context.Context, consent providers.NewConsent,
) (*providers.CreatedConsent, error) {
	created, err := c.Consents.CreateConsent(ctx, consent)
	if err == nil {
		c.wantTold(created.State)
	}
	return created, err
}

// GetConsent implements providers.Consents.
func (c toldConsents) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	state, err := c.Consents.GetConsent(ctx, ref)
	if err == nil {
		c.wantTold(*state)
	}
	return state, err
}

func (c toldConsents) wantTold(state providers.ConsentState) {
	c.t.Helper()
	for _, o := range state.Observations {
		wantTold(c.t, o.Bank)
		wantTold(c.t, o.Error)
	}
	for _, connection := range state.Connections {
		wantTold(c.t, connection.Bank)
	}
}

type toldAccounts struct {
	providers.Accounts
	t testing.TB
}

// ListAccounts implements providers.Accounts.
func (a toldAccounts) ListAccounts(ctx context.Context, ref providers.ConsentRef) ([]providers.Account, error) {
	accounts, err := a.Accounts.ListAccounts(ctx, ref)
	for _, account := range accounts {
		wantTold(a.t, account.Account)
	}
	return accounts, err
}

// Transactions implements providers.Accounts.
func (a toldAccounts) Transactions(
	ctx context.Context, ref providers.ConsentRef, query providers.Query,
) iter.Seq2[providers.Transaction, error] {
	return func(yield func(providers.Transaction, error) bool) {
		for transaction, err := range a.Accounts.Transactions(ctx, ref, query) {
			if err == nil {
				wantTold(a.t, transaction.Transaction)
			}
			if !yield(transaction, err) {
				return
			}
		}
	}
}

type toldHoldings struct {
	providers.Holdings
	t testing.TB
}

// ListStandingOrders implements providers.Holdings.
func (h toldHoldings) ListStandingOrders(
	ctx context.Context, ref providers.ConsentRef,
) ([]providers.StandingOrder, error) {
	orders, err := h.Holdings.ListStandingOrders(ctx, ref)
	for _, order := range orders {
		wantTold(h.t, order.StandingOrder)
	}
	return orders, err
}

// ListSecurities implements providers.Holdings.
func (h toldHoldings) ListSecurities(ctx context.Context, ref providers.ConsentRef) ([]providers.Security, error) {
	securities, err := h.Holdings.ListSecurities(ctx, ref)
	for _, security := range securities {
		wantTold(h.t, security.Security)
	}
	return securities, err
}

type toldInsights struct {
	providers.Insights
	t testing.TB
}

// GetInsights implements providers.Insights.
func (i toldInsights) GetInsights(
	ctx context.Context, ref providers.ConsentRef, referenceID string,
) (*insightsv1.Insights, []providers.Account, error) {
	insights, accounts, err := i.Insights.GetInsights(ctx, ref, referenceID)
	wantTold(i.t, insights)
	for _, account := range accounts {
		wantTold(i.t, account.Account)
	}
	return insights, accounts, err
}

type toldPartners struct {
	providers.PaymentPartners
	t testing.TB
}

// PaymentPartnerAnalysis implements providers.PaymentPartners.
func (p toldPartners) PaymentPartnerAnalysis(
	ctx context.Context, ref providers.ConsentRef,
) (*insightsv1.PaymentPartnerAnalysis, error) {
	analysis, err := p.PaymentPartners.PaymentPartnerAnalysis(ctx, ref)
	wantTold(p.t, analysis)
	return analysis, err
}

type toldLogos struct {
	providers.Logos
	t testing.TB
}

// SearchLogos implements providers.Logos.
func (l toldLogos) SearchLogos(
	ctx context.Context, request *insightsv1.SearchCompanyLogosRequest,
) ([]*insightsv1.CompanyLogo, error) {
	logos, err := l.Logos.SearchLogos(ctx, request)
	for _, logo := range logos {
		wantTold(l.t, logo)
	}
	return logos, err
}
