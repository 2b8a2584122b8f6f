package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"path"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
)

// pageSize is small, so that there are several pages of transactions. Leave it out, and a page holds 100.
const pageSize = 50

// outcome is what the story came to.
type outcome struct {
	consent  *consentv1.Consent
	events   []*consentv1.ConsentEvent
	accounts []*bankingv1.Account
	pages    int
	listed   tally // with ListTransactions
	streamed tally // with StreamTransactions
}

type client struct {
	consents consentv1.ConsentServiceClient
	banking  bankingv1.BankingServiceClient
	out      io.Writer
}

// tell tells the story on out.
func tell(ctx context.Context, conn grpc.ClientConnInterface, out io.Writer) (*outcome, error) {
	c := &client{consentv1.NewConsentServiceClient(conn), bankingv1.NewBankingServiceClient(conn), out}
	o := &outcome{}

	// The token is taken before there is a consent, so that the watch shows it from its first event.
	token, err := c.present(ctx)
	if err != nil {
		return nil, fmt.Errorf("find where to begin: %w", err)
	}
	if o.consent, err = c.createConsent(ctx); err != nil {
		return nil, fmt.Errorf("create a consent: %w", err)
	}
	c.printf("%s: the customer is to open %s\n", o.consent.GetName(), o.consent.GetLink().GetUri())
	if err := c.follow(ctx, o, token); err != nil {
		return nil, fmt.Errorf("follow the consent: %w", err)
	}

	if o.accounts, err = c.accounts(ctx, o.consent.GetName()); err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	if err := c.list(ctx, o); err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	if err := c.stream(ctx, o); err != nil {
		return nil, fmt.Errorf("stream transactions: %w", err)
	}
	if o.listed.String() != o.streamed.String() {
		return nil, fmt.Errorf("listed %s, but streamed %s", &o.listed, &o.streamed)
	}
	c.printf("%d events, %d accounts\n", len(o.events), len(o.accounts))
	c.printf("transactions: %s; the same in %d pages and as a stream\n", &o.streamed, o.pages)

	_, err = c.consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: "consents/unknown"})
	c.printf("a consent that does not exist: %s, reason %s\n", status.Code(err), reason(err))
	return o, nil
}

// present gives the token behind the present state of all consents. A service keeps the last token that it dealt with,
// and asks for this one only when it has none.
func (c *client) present(ctx context.Context) (string, error) {
	for message, err := range c.watch(ctx, "") {
		if err != nil {
			return "", err
		}
		if token := message.GetResumeToken(); token != "" {
			return token, nil
		}
	}
	return "", io.ErrUnexpectedEOF
}

func (c *client) createConsent(ctx context.Context) (*consentv1.Consent, error) {
	return c.consents.CreateConsent(ctx, &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{
			Provider:  "fimento",
			Market:    "SE",
			Reference: new("loan-application-1"),
		},
		Psu: &consentv1.Psu{NationalId: "199503096316"},
		// Kept with the application, it makes a repeated call harmless: the answer is the same consent.
		RequestId: uuid.NewString(),
	})
}

// follow notes each event of the consent until its data is ready, and what the consent then is. In the middle it hangs
// up and goes on behind the last event that it dealt with; after UNAVAILABLE, or a restart of either side, it would go
// on in the same way.
func (c *client) follow(ctx context.Context, o *outcome, token string) error {
	for {
		for message, err := range c.watch(ctx, token) {
			if err != nil {
				return err
			}
			token = message.GetResumeToken()
			event, consent := message.GetEvent(), message.GetConsent()
			if event == nil || consent.GetName() != o.consent.GetName() {
				continue // a heartbeat, or another consent
			}
			c.printf("%3s  %-24s %s / %s\n", path.Base(event.GetName()), event.GetType(), consent.GetStatus(),
				consent.GetDataStage())
			o.consent, o.events = consent, append(o.events, event)
			if event.GetType() == consentv1.ConsentEvent_LINK_ISSUED {
				if err := c.approve(ctx, consent.GetName()); err != nil {
					return err
				}
			}
			if event.GetType() == consentv1.ConsentEvent_FETCH_STARTED {
				break
			}
			if consent.GetDataStage() == consentv1.DataStage_READY {
				return nil
			}
		}
		c.printf("     hung up; resuming\n")
	}
}

// approve stands in for the customer, who would decide on the bank's pages. Test environments have it.
func (c *client) approve(ctx context.Context, consent string) error {
	_, err := c.consents.SimulateDecision(ctx,
		&consentv1.SimulateDecisionRequest{Name: consent, Decision: consentv1.Decision_APPROVED})
	return err
}

// watch follows all consents, from the present state or from behind a token. It ends with an error, or when the caller
// breaks out.
func (c *client) watch(ctx context.Context, token string) iter.Seq2[*consentv1.WatchConsentsResponse, error] {
	return func(yield func(*consentv1.WatchConsentsResponse, error) bool) {
		ctx, hangUp := context.WithCancel(ctx)
		defer hangUp()
		stream, err := c.consents.WatchConsents(ctx, &consentv1.WatchConsentsRequest{ResumeToken: token})
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			message, err := stream.Recv()
			if !yield(message, err) || err != nil {
				return
			}
		}
	}
}

func (c *client) accounts(ctx context.Context, consent string) ([]*bankingv1.Account, error) {
	response, err := c.banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: consent})
	if err != nil {
		return nil, err
	}
	for _, account := range response.GetAccounts() {
		c.printf("%s: %s %s\n", account.GetDisplayName(), account.GetBalance().GetValue(),
			account.GetBalance().GetCurrencyCode())
	}
	return response.GetAccounts(), nil
}

// list reads the transactions of all accounts page by page, for a caller that shows pages or stops early.
func (c *client) list(ctx context.Context, o *outcome) error {
	request := &bankingv1.ListTransactionsRequest{Parent: o.consent.GetName() + "/accounts/-", PageSize: pageSize}
	for {
		page, err := c.banking.ListTransactions(ctx, request)
		if err != nil {
			return err
		}
		o.pages++
		for _, transaction := range page.GetTransactions() {
			if err := o.listed.add(transaction.GetAmount()); err != nil {
				return err
			}
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return nil
		}
	}
}

// stream reads the same transactions in one go, for a caller that wants all of them.
func (c *client) stream(ctx context.Context, o *outcome) error {
	stream, err := c.banking.StreamTransactions(ctx, &bankingv1.StreamTransactionsRequest{Parent: o.consent.GetName()})
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			return err // a stream that ends without END is not whole
		}
		switch message.GetKind() {
		case bankingv1.StreamTransactionsResponse_TRANSACTION:
			if err := o.streamed.add(message.GetTransaction().GetAmount()); err != nil {
				return err
			}
		case bankingv1.StreamTransactionsResponse_END:
			if came := o.streamed.count; came != int(message.GetCount()) {
				return fmt.Errorf("%d transactions came, of %d", came, message.GetCount())
			}
			return nil
		default: // a heartbeat, or what a later version sends
		}
	}
}

// reason reads why a call failed, one of kontor.error.v1.Error.Reason, from the google.rpc.ErrorInfo of its status. It
// is empty for an error that is not Kontor's, such as one of the connection.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "kontor.dev" {
			return info.GetReason()
		}
	}
	return ""
}

func (c *client) printf(format string, values ...any) {
	_, _ = fmt.Fprintf(c.out, format, values...)
}
