package banking

import (
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/bankdata"
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
	ctx := stream.Context()
	row, p, err := s.Reads.Open(ctx, req.GetParent(), "StreamTransactions")
	if err != nil {
		return err
	}
	began, complete := s.Clock.Now(), bankdata.Complete(row)
	pulse := newPulse(s.Heartbeat, func() error {
		return stream.Send(&bankingv1.StreamTransactionsResponse{
			Kind: bankingv1.StreamTransactionsResponse_HEARTBEAT,
		})
	})
	defer pulse.stop()
	count := int32(0)
	err = s.transactions(ctx, p, row, filter, func(t *bankingv1.Transaction) error {
		count++
		return pulse.send(func() error {
			return stream.Send(&bankingv1.StreamTransactionsResponse{
				Kind: bankingv1.StreamTransactionsResponse_TRANSACTION, Transaction: t,
			})
		})
	})
	if err != nil {
		return err
	}
	return pulse.send(func() error {
		return stream.Send(&bankingv1.StreamTransactionsResponse{
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

func newPulse(silence time.Duration, beat func() error) *pulse {
	p := &pulse{
		silence: silence, beat: beat, over: make(chan struct{}), ended: make(chan struct{}), last: time.Now(),
	}
	go p.run()
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
	defer close(p.ended)
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
