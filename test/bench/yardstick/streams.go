package yardstick

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
)

// Streams is a gRPC server with nothing behind it: it sends so many transactions to whoever asks for a stream of them,
// and an event to all watchers whenever a consent is asked for. It has Kontor's messages, so that the same callers can
// be served.
type Streams struct {
	bankingv1.UnimplementedBankingServiceServer
	consentv1.UnimplementedConsentServiceServer

	Count int

	mu       sync.Mutex
	watchers map[chan *consentv1.WatchConsentsResponse]bool
}

// NewStreams makes the server, for streams of so many transactions.
func NewStreams(count int) *grpc.Server {
	s := &Streams{Count: count, watchers: map[chan *consentv1.WatchConsentsResponse]bool{}}
	server := grpc.NewServer()
	bankingv1.RegisterBankingServiceServer(server, s)
	consentv1.RegisterConsentServiceServer(server, s)
	return server
}

// StreamTransactions sends transactions that are made as they are sent.
func (s *Streams) StreamTransactions(
	_ *bankingv1.StreamTransactionsRequest, to grpc.ServerStreamingServer[bankingv1.StreamTransactionsResponse],
) error {
	for n := range s.Count {
		if err := to.Send(&bankingv1.StreamTransactionsResponse{
			Kind: bankingv1.StreamTransactionsResponse_TRANSACTION,
			Transaction: &bankingv1.Transaction{
				Name:   fmt.Sprintf("consents/c/accounts/-/transactions/%026d", n),
				Status: bankingv1.Transaction_BOOKED, BookingDate: optional.Of("2026-05-01"),
				Amount:                &typev1.Money{Value: "-12.34", CurrencyCode: "SEK"},
				RemittanceInformation: optional.Of("Kortköp ICA"), ProviderCategory: optional.Of("groceries"),
				Category: bankingv1.Category_GROCERIES.Enum(),
			},
		}); err != nil {
			return err
		}
	}
	return to.Send(&bankingv1.StreamTransactionsResponse{Kind: bankingv1.StreamTransactionsResponse_END})
}

// event is one as Kontor sends them.
func event() *consentv1.WatchConsentsResponse {
	return &consentv1.WatchConsentsResponse{
		Kind: consentv1.WatchConsentsResponse_EVENT,
		Consent: &consentv1.Consent{
			Name: "consents/00000000-0000-0000-0000-000000000000", Customer: "customers/c", Market: "SE",
			Provider: "providers/somebody", Status: consentv1.Consent_AUTHORIZED,
		},
		ResumeToken: optional.Of("a token of some length that a stream can be resumed with"),
	}
}

// GetConsent sends an event to all watchers.
func (s *Streams) GetConsent(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for each := range s.watchers {
		each <- event()
	}
	return &consentv1.Consent{}, nil
}

// WatchConsents sends a first message, and then events.
func (s *Streams) WatchConsents(
	_ *consentv1.WatchConsentsRequest, to grpc.ServerStreamingServer[consentv1.WatchConsentsResponse],
) error {
	own := make(chan *consentv1.WatchConsentsResponse, 16)
	s.mu.Lock()
	s.watchers[own] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, own)
		s.mu.Unlock()
	}()
	first := event()
	first.Kind = consentv1.WatchConsentsResponse_STATE
	if err := to.Send(first); err != nil {
		return err
	}
	for {
		select {
		case message := <-own:
			if err := to.Send(message); err != nil {
				return err
			}
		case <-to.Context().Done():
			return nil
		}
	}
}
