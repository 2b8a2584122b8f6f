package banking

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/bankdata"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// StreamTransactions implements bankingv1.BankingServiceServer. What it sends is never held: the provider is read as
// fast as the caller reads.
func (s *Server) StreamTransactions(
	req *bankingv1.StreamTransactionsRequest, stream bankingv1.BankingService_StreamTransactionsServer,
) error {
	filter, err := filterOf(req)
	if err != nil {
		return err
	}
	return s.Reads.Stream(stream.Context(), req.GetParent(), "StreamTransactions", func(
		ctx context.Context, p *providers.Provider, row *store.Consent, recorded func() error,
	) error {
		return s.stream(ctx, p, row, filter, recorded, stream.Send)
	})
}

// stream sends transactions as they are read, with a heartbeat in each silence, and the end: all once the read is
// recorded.
func (s *Server) stream(
	ctx context.Context, p *providers.Provider, row *store.Consent, filter transactionFilter,
	recorded func() error, send func(*bankingv1.StreamTransactionsResponse) error,
) error {
	began, complete := s.Clock.Now(), bankdata.Complete(row)
	pulse := newPulse(s.Heartbeat, recorded, func() error {
		return send(&bankingv1.StreamTransactionsResponse{
			Kind: bankingv1.StreamTransactionsResponse_HEARTBEAT,
		})
	})
	defer pulse.stop()
	count := int32(0)
	err := s.transactions(ctx, p, row, filter, func(t *bankingv1.Transaction) error {
		if err := recorded(); err != nil {
			return err
		}
		count++
		return pulse.send(func() error {
			return send(&bankingv1.StreamTransactionsResponse{
				Kind: bankingv1.StreamTransactionsResponse_TRANSACTION, Transaction: t,
			})
		})
	})
	if err == nil {
		err = recorded()
	}
	if err != nil {
		return err
	}
	return pulse.send(func() error {
		return send(&bankingv1.StreamTransactionsResponse{
			Kind: bankingv1.StreamTransactionsResponse_END, Count: &count, Complete: &complete,
			ReadTime: timestamppb.New(began),
		})
	})
}

// pulse sends a heartbeat whenever a stream has sent nothing for so long, while its handler waits for a provider.
type pulse struct {
	silence time.Duration
	beat    func() error
	over    chan struct{}
	ended   chan struct{}

	mu   sync.Mutex // of sending
	last time.Time
}

// newPulse begins once ready gives nil, and not at all when it fails.
func newPulse(silence time.Duration, ready, beat func() error) *pulse {
	p := &pulse{
		silence: silence, beat: beat, over: make(chan struct{}), ended: make(chan struct{}), last: time.Now(),
	}
	go func() {
		defer close(p.ended)
		if ready() == nil {
			p.run()
		}
	}()
	return p
}

// send sends something else than a heartbeat.
func (p *pulse) send(do func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := do()
	p.last = time.Now()
	return err
}

// stop ends the heartbeats. None is being sent when it returns.
func (p *pulse) stop() {
	close(p.over)
	<-p.ended
}

func (p *pulse) run() {
	timer := time.NewTimer(p.silence)
	defer timer.Stop()
	for {
		select {
		case <-p.over:
			return
		case <-timer.C:
		}
		rest, err := p.due()
		if err != nil {
			return // what the handler sends next fails as well
		}
		timer.Reset(rest)
	}
}

// due sends a heartbeat if it is time for one, and tells how long it is until the next may be.
func (p *pulse) due() (rest time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if rest := p.silence - time.Since(p.last); rest > 0 {
		return rest, nil
	}
	p.last = time.Now()
	return p.silence, p.beat()
}
