// Package naive is the gateway that one would write in an afternoon, of grpc-go, encoding/json and grpc-gateway: it
// asks nobody who they are, writes nothing down, and hands the provider's ids on. It is the yardstick for what Kontor
// does besides.
package naive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
)

// Gateway answers with what a provider has.
type Gateway struct {
	bankingv1.UnimplementedBankingServiceServer

	// Provider is the address of the provider, Client what asks it.
	Provider string
	Client   *http.Client
}

// GRPC serves it.
func (g *Gateway) GRPC() *grpc.Server {
	server := grpc.NewServer()
	bankingv1.RegisterBankingServiceServer(server, g)
	return server
}

// bufferSize is that of the connection within the process.
const bufferSize = 1 << 20

// REST serves JSON through a connection within the process.
func (g *Gateway) REST(ctx context.Context) (http.Handler, error) {
	listener := bufconn.Listen(bufferSize)
	server := g.GRPC()
	go func() { _ = server.Serve(listener) }() // until the process ends
	conn, err := grpc.NewClient("passthrough:bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux()
	return mux, bankingv1.RegisterBankingServiceHandler(ctx, mux, conn)
}

// get reads an answer of the provider.
func (g *Gateway) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.Provider+path, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer token-of-the-stub")
	resp, err := g.Client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// process is the id of the process whose consent a name begins with.
func process(name string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(name, "consents/"), "/")
	return id
}

// ListAccounts reads the accounts.
func (g *Gateway) ListAccounts(
	ctx context.Context, req *bankingv1.ListAccountsRequest,
) (*bankingv1.ListAccountsResponse, error) {
	var listed struct {
		AccountsInfo []struct {
			AccountNumber, Name, Type, Bank string
			Balance                         json.Number
		} `json:"accountsInfo"`
	}
	if err := g.get(ctx, "/insights/"+process(req.GetParent()), &listed); err != nil {
		return nil, err
	}
	answer := &bankingv1.ListAccountsResponse{}
	for _, a := range listed.AccountsInfo {
		answer.Accounts = append(answer.Accounts, &bankingv1.Account{
			Name: req.GetParent() + "/accounts/" + a.AccountNumber, DisplayName: optional.Of(a.Name),
			Iban: optional.Of(a.AccountNumber), ProviderType: optional.Of(a.Type), Balance: money(a.Balance),
			Type: bankingv1.Account_CURRENT, CurrencyCode: optional.Of("SEK"), BankName: optional.Of(a.Bank),
		})
	}
	return answer, nil
}

// ListTransactions reads all transactions, page by page to an empty one.
func (g *Gateway) ListTransactions(
	ctx context.Context, req *bankingv1.ListTransactionsRequest,
) (*bankingv1.ListTransactionsResponse, error) {
	answer := &bankingv1.ListTransactionsResponse{}
	for page := 1; ; page++ {
		var listed struct {
			Transactions []struct {
				ID          string `json:"_id"`
				Amount      json.Number
				Date        string
				Description string
				Category    string
			}
		}
		path := fmt.Sprintf("/insights/%s/transactions?page=%d", process(req.GetParent()), page)
		if err := g.get(ctx, path, &listed); err != nil {
			return nil, err
		}
		if len(listed.Transactions) == 0 {
			return answer, nil
		}
		for _, t := range listed.Transactions {
			answer.Transactions = append(answer.Transactions, &bankingv1.Transaction{
				Name: req.GetParent() + "/transactions/" + t.ID, Status: bankingv1.Transaction_BOOKED,
				Amount: money(t.Amount), BookingDate: optional.Of(t.Date),
				RemittanceInformation: optional.Of(t.Description),
				ProviderCategory:      optional.Of(t.Category), Category: bankingv1.Category_GROCERIES.Enum(),
			})
		}
	}
}

func money(amount json.Number) *typev1.Money {
	return &typev1.Money{Value: string(amount), CurrencyCode: "SEK"}
}
