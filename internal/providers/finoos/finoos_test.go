package finoos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/psu"
	"kontor.dev/kontor/internal/secret"
)

var (
	testRef       = providers.ConsentRef{ID: testUser, Market: "DE"}
	testRedirects = providers.Redirects{
		Success: "https://kontor.example.com/callbacks/r/1?way=success",
		Error:   "https://kontor.example.com/callbacks/r/1?way=error",
		Exit:    "https://kontor.example.com/callbacks/r/1?way=exit",
	}
	testFlow     = providers.Flow{Access: consentv1.Access_RECURRING, Redirects: testRedirects}
	testShipment = providers.Shipment{
		ID: "f976b0ee-d9fb-4327-bdbf-f34ac1938054", CallbackURL: "https://kontor.example.com/callbacks/s/1",
		Shipment: &documentsv1.Shipment{
			Channel: documentsv1.Channel_FAX, Recipient: "Stadtwerke Kassel", Subject: "Kündigung",
			Pdf: []byte("%PDF-1.7 ??>"),
			Address: &documentsv1.Shipment_Address{
				Street:               optional.Of("Universitätspl."),
				HouseNumber:          optional.Of("12"),
				Postcode:             optional.Of("34127"),
				City:                 "Kassel",
				CountryCode:          "DE",
				StreetAdditionalInfo: optional.Of("PO Box 31127"),
			},
		},
	}
)

func letter() providers.Shipment {
	l := testShipment
	l.Shipment = proto.CloneOf(l.Shipment)
	l.Channel = documentsv1.Channel_LETTER
	l.Address.StreetAdditionalInfo = optional.Of("")
	return l
}

func testContext() context.Context {
	return providers.WithCall(context.Background(), providers.Call{PSUIP: testIP, RequestID: testID})
}

// operation is one way to call each operation of the table.
type operation struct {
	name string
	do   func(ctx context.Context, p *providers.Provider) (any, error)
	path string
	// query and body are what must be sent; body is compared as JSON.
	query url.Values
	ip    string
	body  string
	// want is what the sample's answer must become.
	want any
	// gone says that 404 is a success.
	gone bool
}

func nothing(err error) (any, error) { return nil, err }

const sessionBodyJSON = `{"redirectURL": "https://kontor.example.com/callbacks/r/1?way=success", "errorURL": "https://kontor.example.com/callbacks/r/1?way=error", "exitURL": "https://kontor.example.com/callbacks/r/1?way=exit"`

var operations = []operation{
	{
		name: "list_users", path: "/users", query: url.Values{"page": {"0"}, "perPage": {"50"}},
		want: []providers.User(nil),
		do:   func(ctx context.Context, p *providers.Provider) (any, error) { return p.Users.ListUsers(ctx, 0, 50) },
	},
	{
		name: "create_user", path: "/users", body: `{"type": "person", "scopes": ["banking"]}`, want: testUser,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return p.Users.CreateUser(ctx, providers.NewUser{Type: customerv1.Customer_PERSON})
		},
	},
	{
		name: "delete_user", path: "/users/" + testUser, gone: true,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Users.DeleteUser(ctx, testUser))
		},
	},
	{
		name: "add_scope", path: "/users/" + testUser + "/scopes", body: `{"name": "documentShipment"}`,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Users.AddProduct(ctx, testUser, customerv1.Product_DOCUMENT_SHIPMENT))
		},
	},
	{
		name: "remove_scope", path: "/users/" + testUser + "/scopes/companiesLogo", gone: true,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Users.RemoveProduct(ctx, testUser, customerv1.Product_COMPANY_LOGOS))
		},
	},
	{
		name: "connect", path: "/users/" + testUser + "/banking/connect", ip: testIP,
		body: sessionBodyJSON + `, "recurring": true}`,
		want: &providers.CreatedConsent{
			Ref: testRef, Link: providers.Link{URI: "https://uba.test.fino.run/auth?session=1", TTL: sessionTTL},
		},
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return p.Consents.CreateConsent(ctx,
				providers.NewConsent{UserID: testUser, Market: "DE", Redirects: testRedirects})
		},
	},
	{
		name: "disconnect", path: "/users/" + testUser + "/banking/connect", ip: testIP, gone: true,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Consents.RevokeConsent(ctx, testRef))
		},
	},
	{
		name: "get_logins", path: "/users/" + testUser + "/banking/logins",
		query: url.Values{"includeTransactions": {"false"}},
		want:  []providers.Account{wantAccount()},
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return p.Accounts.ListAccounts(ctx, testRef)
		},
	},
	{
		name: "set_logins",
		path: "/users/" + testUser + "/banking/logins",
		body: `{"logins": [{"id": "L1", "bank": {"name": "fino Bank", "bic": "", "bankCode": "", "logo": {"url": "", "type": ""}}, "accounts": []}]}`,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Importer.ImportConnections(ctx, testRef, true, oneConnection))
		},
	},
	{
		name: "update_logins",
		path: "/users/" + testUser + "/banking/logins",
		body: `{"logins": [{"id": "L1", "bank": {"name": "fino Bank", "bic": "", "bankCode": "", "logo": {"url": "", "type": ""}}, "accounts": []}]}`,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Importer.ImportConnections(ctx, testRef, false, oneConnection))
		},
	},
	{
		name: "delete_login", path: "/users/" + testUser + "/banking/logins/" + testLogin, ip: testIP, gone: true,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Connections.DeleteConnection(ctx, testRef, testLogin))
		},
	},
	{
		name: "synchronization_status", path: "/users/" + testUser + "/banking/logins/status",
		want: &providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{{
			ID: testLogin, Active: true, SyncTime: newClock().now,
			Bank: &consentv1.Connection_Bank{
				DisplayName: optional.Of("fino Bank"),
				Bic:         optional.Of("SUBSDE71"),
				BankCode:    optional.Of("70199901"),
				CountryCode: optional.Of("DE"),
			},
		}}, Identity: &psu.Identity{Names: []string{"mais torben"}}},
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return p.Consents.GetConsent(ctx, testRef)
		},
	},
	{
		name: "banking_overview", path: "/users/" + testUser + "/banking/overview",
		query: url.Values{"addBankLogin": {"true"}}, ip: testIP, body: sessionBodyJSON + `}`,
		want: &providers.Issued{
			Link: providers.Link{URI: "https://uba.test.fino.run/overview?session=2", TTL: sessionTTL},
		},
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return p.Banks.AddBank(ctx, testRef, testFlow)
		},
	},
	{
		name: "synchronize", path: "/users/" + testUser + "/banking/synchronize", ip: testIP,
		body: sessionBodyJSON + `, "bankLoginId": "` + testLogin + `"}`,
		want: (*providers.Link)(nil),
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return p.Connections.SyncConnection(ctx, testRef, testLogin, testFlow)
		},
	},
	{
		name:  "search_company_logos",
		path:  "/companies/logos",
		query: url.Values{"exactMatch": {"false"}, "fuzziness": {"2"}},
		body:  `{"queries": [{"queryID": "1", "name": "E.ON", "domain": "eon.de", "iban": "123", "bic": "PBNKDEFF", "bankCode": "64090100", "creditorID": "DE41EON00000129793"}]}`,
		want: []*insightsv1.CompanyLogo{
			{
				QueryId:      "1",
				Company:      optional.Of("fino"),
				Status:       insightsv1.CompanyLogo_OK,
				ProviderCode: optional.Of("ok"),
				LogoUri:      optional.Of("https://logos.fino.cloud/fino.png"),
			},
		},
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return p.Logos.SearchLogos(ctx,
				&insightsv1.SearchCompanyLogosRequest{Fuzziness: "2",
					Queries: []*insightsv1.SearchCompanyLogosRequest_Query{{
						QueryId: "1", Name: "E.ON", Domain: "eon.de", Iban: "123", Bic: "PBNKDEFF",
						BankCode:   "64090100",
						CreditorId: "DE41EON00000129793",
					}}})
		},
	},
	{
		name: "send_fax",
		path: "/documentshipment/fax",
		body: `{"processID": "f976b0ee-d9fb-4327-bdbf-f34ac1938054", "callbackURL": "https://kontor.example.com/callbacks/s/1", "recipient": "Stadtwerke Kassel", "subject": "Kündigung", "pdfContent": "JVBERi0xLjcgPz8+", "address": {"street": "Universitätspl.", "houseNumber": "12", "postcode": "34127", "city": "Kassel", "countryCode": "DE", "streetAdditionalInfo": "PO Box 31127"}}`,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Shipments.SendShipment(ctx, testShipment))
		},
	},
	{
		name: "send_letter",
		path: "/documentshipment/letter",
		body: `{"processID": "f976b0ee-d9fb-4327-bdbf-f34ac1938054", "callbackURL": "https://kontor.example.com/callbacks/s/1", "recipient": "Stadtwerke Kassel", "subject": "Kündigung", "pdfContent": "JVBERi0xLjcgPz8+", "address": {"street": "Universitätspl.", "houseNumber": "12", "postcode": "34127", "city": "Kassel", "countryCode": "DE"}}`,
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			return nothing(p.Shipments.SendShipment(ctx, letter()))
		},
	},
	{
		name: "payment_partner_analysis", path: "/users/" + testUser + "/paymentpartneranalysis",
		do: func(ctx context.Context, p *providers.Provider) (any, error) {
			analysis, err := p.PaymentPartners.PaymentPartnerAnalysis(ctx, testRef)
			if err == nil && len(analysis.GetAccounts()) != 1 {
				return nil, errors.New("the sample has one account")
			}
			return nil, err // the mapping is looked at in its own test
		},
	},
}

var oneConnection = []*bankingv1.ImportedConnection{
	{Id: "L1", Bank: &consentv1.Connection_Bank{DisplayName: optional.Of("fino Bank")}},
}

func wantAccount() providers.Account {
	return providers.Account{
		ID: testLogin + "/A38253.f837c3ab353", ConnectionID: testLogin,
		Account: &bankingv1.Account{
			BankName:             optional.Of("fino Bank"),
			DisplayName:          optional.Of("Girokonto"),
			OwnerName:            optional.Of("Torben Mais"),
			Iban:                 optional.Of("DE64100200007791587578"),
			AccountNumber:        optional.Of("83767594"),
			Type:                 bankingv1.Account_CURRENT,
			ProviderType:         optional.Of("GIRO"),
			CurrencyCode:         optional.Of("EUR"),
			Balance:              euro("2004.41"),
			CreditLine:           euro("0"),
			MonthlySpendingLimit: euro("6000"),
		},
	}
}

// The fake refuses what the documentation does not have; here stands what goes into each request and comes out of each
// answer.
func TestEveryOperation(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			f.reset()
			got, err := op.do(testContext(), p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(op.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			sent := f.only(op.name)
			if sent.path != op.path {
				t.Errorf("path is %s, want %s", sent.path, op.path)
			}
			if query := op.query.Encode(); sent.query.Encode() != query {
				t.Errorf("query is %s, want %s", sent.query.Encode(), query)
			}
			if ip := sent.header.Get("User-IP"); ip != op.ip {
				t.Errorf("User-IP is %q, want %q", ip, op.ip)
			}
			if id := sent.header.Get("X-Request-ID"); id != testID {
				t.Errorf("X-Request-ID is %q, want the caller's", id)
			}
			if op.body != "" && !sameJSON(t, sent.body, op.body) {
				t.Errorf("body is\n%s\nwant\n%s", sent.body, op.body)
			}
		})
	}
	for _, documented := range Operations() {
		tested := slices.ContainsFunc(operations, func(op operation) bool { return op.name == documented.Name })
		if !tested && documented.Name != opAuthenticate && documented.Name != opRefresh {
			t.Errorf("%s is not tested", documented.Name)
		}
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	return cmp.Equal(tree(t, a), tree(t, b))
}

// tree reads JSON with its numbers as they are written.
func tree(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

var kinds = map[int]providers.ErrorKind{
	400: providers.KindRejected, 401: providers.KindCredentials, 403: providers.KindNotEnabled,
	404: providers.KindNotFound, 409: providers.KindConflict,
	429: providers.KindRateLimited, 500: providers.KindUnavailable, 502: providers.KindUnavailable,
	503: providers.KindUnavailable, 504: providers.KindUnavailable,
}

func TestEveryFailure(t *testing.T) {
	creating := map[string]bool{"create_user": true, "send_fax": true, "send_letter": true}
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			f := newFake(t)
			for _, status := range slices.Sorted(maps.Keys(kinds)) {
				p := f.provider()
				f.handle(op.name, func(w http.ResponseWriter, _ *http.Request) {
					if status == 429 {
						w.Header().Set("Retry-After", "7")
					}
					refuse(w, status, "someCode")
				})
				_, err := op.do(testContext(), p)
				if op.gone && status == 404 {
					if err != nil {
						t.Errorf("404: %v, want none: it is gone", err)
					}
					continue
				}
				if op.name == "add_scope" && status == 409 {
					if err != nil {
						t.Errorf("409: %v, want none: the user has the scope already", err)
					}
					continue
				}
				var failed *providers.Error
				if !errors.As(err, &failed) {
					t.Errorf("%d: the error is %v", status, err)
					continue
				}
				if failed.Kind != kinds[status] || failed.Provider != kindName || failed.Operation != op.name ||
					failed.Status != status || failed.Code != "someCode" {
					t.Errorf("%d: %+v", status, failed)
				}
				if failed.RequestID != "fino-"+testID {
					t.Errorf("%d: the request id is %q, want finoOS's", status, failed.RequestID)
				}
				if told := failed.RetryAfter.Seconds() == 7; told != (status == 429) {
					t.Errorf("%d: retry after %s", status, failed.RetryAfter)
				}
				if failed.MayHaveHappened != (creating[op.name] && status >= 500) {
					t.Errorf("%d: may have happened: %t", status, failed.MayHaveHappened)
				}
				if strings.Contains(fmt.Sprintf("%+v", failed), "Torben") {
					t.Errorf("%d: the error quotes the body", status)
				}
			}
		})
	}
}

// A user whom finoOS does not know may be gone, or asked for at a wrong path: that is no answer about their banks.
func TestGetConsentOfAUserWhoIsGone(t *testing.T) {
	for _, operation := range []string{"get_logins", "synchronization_status"} {
		for _, status := range []int{404, 410} {
			f := newFake(t)
			f.answer(operation, status, `{"type": "notFound"}`)
			state, err := f.provider().Consents.GetConsent(testContext(), testRef)
			if providers.KindOf(err) != providers.KindNotFound {
				t.Errorf("%s, %d: %+v, %v", operation, status, state, err)
			}
		}
	}
}

func TestOnlyShortPlainCodesAreTakenOver(t *testing.T) {
	for body, want := range map[string]string{
		`{"type": "notFound", "message": "not found"}`: "notFound",
		`{"type": "Torben Mais"}`:                      "",
		`{"type": ""}`:                                 "",
		`{"type": "` + strings.Repeat("x", 65) + `"}`:  "",
		`{"type": 7}`:                                  "",
		`<html>`:                                       "",
		``:                                             "",
	} {
		if got := errorCode(400, []byte(body)); got != want {
			t.Errorf("the code of %s is %q, want %q", body, got, want)
		}
	}
}

// An answer that is not what is documented must not pass for one without content.
func TestMalformedAnswers(t *testing.T) {
	broken := []string{
		`{`, `[`, `"`, `7`, `[[]]`, `{"id": {}}`, `<html></html>`, `{"error": "maintenance"}`, `null`, ``,
	}
	for _, op := range operations {
		if op.want == nil && op.name != "payment_partner_analysis" || op.name == "synchronize" {
			continue // their bodies do not matter, or have their own test
		}
		f := newFake(t)
		p := f.provider()
		for _, body := range broken {
			f.answer(op.name, 200, body)
			_, err := op.do(testContext(), p)
			var failed *providers.Error
			if op.name == "payment_partner_analysis" && body == "null" {
				continue // a list without entries may be written so
			}
			if !errors.As(err,
				&failed) || failed.Kind != providers.KindInvalidResponse || failed.Status != 200 ||
				failed.RequestID != "fino-"+testID {
				t.Errorf("%s answered %q: %v", op.name, body, err)
				continue
			}
			if failed.MayHaveHappened != (op.name == "create_user") {
				t.Errorf("%s answered %q: may have happened: %t", op.name, body, failed.MayHaveHappened)
			}
		}
	}
}

func TestUserIPIsDemandedWithoutACall(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	ctx := context.Background()
	for name, do := range map[string]func() error{
		"disconnect":       func() error { return p.Consents.RevokeConsent(ctx, testRef) },
		"delete_login":     func() error { return p.Connections.DeleteConnection(ctx, testRef, testLogin) },
		"banking_overview": func() error { _, err := p.Banks.AddBank(ctx, testRef, testFlow); return err },
		"synchronize": func() error {
			_, err := p.Connections.SyncConnection(ctx, testRef, testLogin,
				testFlow)
			return err
		},
	} {
		err := do()
		var failed *providers.Error
		if !errors.As(err, &failed) || failed.Kind != providers.KindPSUIPRequired || failed.Operation != name {
			t.Errorf("%s without the user's address: %v", name, err)
		}
	}
	if calls := f.asked(""); len(calls) != 0 {
		t.Errorf("%d calls were made", len(calls))
	}
}

// A consent can be revoked without the end user's address where the operator gave one of their own. Nothing else can be
// done with that, and an address that came with the call goes before it.
func TestRevokingUnattended(t *testing.T) {
	const own, users = "192.0.2.99", "203.0.113.7"
	f := newFake(t)
	p := f.provider(func(cfg *Config, _ *providers.Deps) { cfg.UnattendedUserIP = own })
	for ip, want := range map[string]string{"": own, users: users} {
		ctx := providers.WithCall(t.Context(), providers.Call{PSUIP: ip})
		if err := p.Consents.RevokeConsent(ctx, testRef); err != nil {
			t.Fatal(err)
		}
		calls := f.asked("disconnect")
		if got := calls[len(calls)-1].header.Get("User-IP"); got != want {
			t.Errorf("revoked with %q, the provider is told %q, want %q", ip, got, want)
		}
	}
	err := p.Connections.DeleteConnection(t.Context(), testRef, testLogin)
	if providers.KindOf(err) != providers.KindPSUIPRequired {
		t.Errorf("a bank is removed without the end user's address: %v", err)
	}
}

func TestAllRedirectsAreDemandedWithoutACall(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	ctx := testContext()
	for missing, redirects := range map[string]providers.Redirects{
		"success error exit": {},
		"success exit":       {Error: "https://k.example/e"},
		"success":            {Error: "https://k.example/e", Exit: "https://k.example/x"},
		"error":              {Success: "https://k.example/s", Exit: "https://k.example/x"},
		"exit":               {Success: "https://k.example/s", Error: "https://k.example/e"},
	} {
		flow := providers.Flow{Redirects: redirects}
		for name, do := range map[string]func() error{
			"CreateConsent": func() error {
				_, err := p.Consents.CreateConsent(ctx, providers.NewConsent{UserID: testUser, Redirects: redirects})
				return err
			},
			"RenewLink": func() error { _, err := p.Links.RenewLink(ctx, testRef, flow); return err },
			"AddBank":   func() error { _, err := p.Banks.AddBank(ctx, testRef, flow); return err },
			"SyncConnection": func() error {
				_, err := p.Connections.SyncConnection(ctx, testRef, testLogin,
					flow)
				return err
			},
			"ManagementSession": func() error {
				_, err := p.Connections.ManagementSession(ctx, testRef,
					flow)
				return err
			},
		} {
			var failed *providers.Error
			if err := do(); !errors.As(err,
				&failed) || failed.Kind != providers.KindInvalidField ||
				strings.ReplaceAll(strings.Join(failed.Fields, " "), "consent.redirect_uris.", "") != missing {
				t.Errorf("%s without %s: %v", name, missing, err)
			}
		}
	}
	if calls := f.asked(""); len(calls) != 0 {
		t.Errorf("%d calls were made", len(calls))
	}
}

func TestAccessBecomesRecurring(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	for access, want := range map[consentv1.Access_Value]string{
		consentv1.Access_VALUE_UNSPECIFIED: `, "recurring": true}`,
		consentv1.Access_RECURRING:         `, "recurring": true}`,
		consentv1.Access_ONE_OFF:           `, "recurring": false}`,
	} {
		f.reset()
		if _, err := p.Links.RenewLink(testContext(), testRef,
			providers.Flow{Access: access, Redirects: testRedirects}); err != nil {
			t.Fatal(err)
		}
		if sent := f.only("connect").body; !sameJSON(t, sent, sessionBodyJSON+want) {
			t.Errorf("%s is sent as %s", access, sent)
		}
	}
}

func TestManagementSessionDoesNotAddABank(t *testing.T) {
	f := newFake(t)
	link, err := f.provider().Connections.ManagementSession(testContext(), testRef, testFlow)
	if err != nil || link.URI != "https://uba.test.fino.run/overview?session=2" {
		t.Fatalf("%v, %v", link, err)
	}
	if got := f.only("banking_overview").query.Get("addBankLogin"); got != "false" {
		t.Errorf("addBankLogin is %s", got)
	}
}

// The address of a session is "a URL" in a body that is documented for connect alone.
func TestSessionAddresses(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	for body, want := range map[string]string{
		`{"redirectURL": "https://uba.fino.run/1"}`:                                  "https://uba.fino.run/1",
		`{"redirectUrl": "https://uba.fino.run/2"}`:                                  "https://uba.fino.run/2",
		`{"url": "http://127.0.0.1:7/3", "other": [1]}`:                              "http://127.0.0.1:7/3",
		`"https://uba.fino.run/4"`:                                                   "https://uba.fino.run/4",
		`{"url": "https://uba.fino.run/5", "redirectURL": "https://uba.fino.run/6"}`: "https://uba.fino.run/6",
		`{"redirectURL": "/relative"}`:                                               "",
		`{"redirectURL": "javascript:alert(1)"}`:                                     "",
		`{"redirectURL": "https://"}`:                                                "",
		`{"redirectURL": "http://uba.fino.run/8"}`:                                   "",
		`{"redirectURL": "https://uba.fino.run@evil.example/9"}`:                     "",
		`{"redirectURL": "ftp://uba.fino.run/"}`:                                     "",
		`{"redirectURL": "//uba.fino.run/"}`:                                         "",
		`{"redirectURL": " https://uba.fino.run/"}`:                                  "",
		`{"redirectURL": 7}`:                                                         "",
		`{}`:                                                                         "",
	} {
		for _, operation := range []string{"connect", "banking_overview"} {
			f.answer(operation, 200, body)
		}
		created, err := p.Consents.CreateConsent(testContext(),
			providers.NewConsent{UserID: testUser, Redirects: testRedirects})
		added, err2 := p.Banks.AddBank(testContext(), testRef, testFlow)
		if want == "" {
			if providers.KindOf(err) != providers.KindInvalidResponse ||
				providers.KindOf(err2) != providers.KindInvalidResponse {
				t.Errorf("%s is taken: %v, %v", body, err, err2)
			}
			continue
		}
		if err != nil || err2 != nil || created.Link.URI != want || added.Link.URI != want ||
			added.Link.TTL != sessionTTL {
			t.Errorf("%s: %v, %v, %v, %v", body, created, err, added, err2)
		}
	}
}

func TestSynchronizeIsDoneOrNeedsASession(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	for _, c := range []struct {
		status    int
		body, uri string
		kind      providers.ErrorKind
	}{
		{204, ``, "", 0},
		{200, ``, "", 0},
		{200, `{}`, "", 0},
		{200, `null`, "", 0},
		{202, `{"message": "accepted"}`, "", 0},
		{200, `{"redirectURL": "https://uba.fino.run/sca"}`, "https://uba.fino.run/sca", 0},
		{200, `"https://uba.fino.run/sca"`, "https://uba.fino.run/sca", 0},
		{200, `{"redirectURL": "nowhere"}`, "", providers.KindInvalidResponse},
		{200, `{"redirectURL"`, "", providers.KindInvalidResponse},
		{302, ``, "", providers.KindInvalidResponse},
	} {
		f.answer("synchronize", c.status, c.body)
		link, err := p.Connections.SyncConnection(testContext(), testRef, testLogin, testFlow)
		switch {
		case c.kind != 0:
			if providers.KindOf(err) != c.kind {
				t.Errorf("%d %s: %v", c.status, c.body, err)
			}
		case err != nil || (link == nil) != (c.uri == "") || link != nil && link.URI != c.uri:
			t.Errorf("%d %s: %v, %v", c.status, c.body, link, err)
		}
	}
}

func TestProductsAreScopes(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	products := []customerv1.Product_Value{
		customerv1.Product_BANKING, customerv1.Product_IMPORT, customerv1.Product_PAYMENT_PARTNER_ANALYSIS,
		customerv1.Product_DOCUMENT_SHIPMENT,
		customerv1.Product_COMPANIES, customerv1.Product_COMPANY_LOGOS, customerv1.Product_CONTRACTS,
		customerv1.Product_BANKING,
	}
	id, err := p.Users.CreateUser(testContext(),
		providers.NewUser{Type: customerv1.Customer_COMPANY, Products: products})
	if err != nil || id != testUser {
		t.Fatalf("%q, %v", id, err)
	}
	want := `{"type": "company", "scopes": ["banking", "bankingExternal", "paymentPartnerAnalysis", "documentShipment", "companies", "companiesLogo", "contracts"]}`
	if sent := f.only("create_user").body; !sameJSON(t, sent, want) {
		t.Errorf("sent %s", sent)
	}
	f.reset()
	for name, err := range map[string]error{
		"type": second(p.Users.CreateUser(testContext(), providers.NewUser{})),
		"products": second(p.Users.CreateUser(testContext(), providers.NewUser{
			Type: customerv1.Customer_PERSON, Products: []customerv1.Product_Value{99},
		})),
		"products ": p.Users.AddProduct(testContext(), testUser, 99),
		" products": p.Users.RemoveProduct(testContext(), testUser, customerv1.Product_VALUE_UNSPECIFIED),
	} {
		var failed *providers.Error
		if !errors.As(err,
			&failed) || failed.Kind != providers.KindInvalidField ||
			!slices.Equal(failed.Fields, []string{"customer." + strings.TrimSpace(name)}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(f.asked("")) != 0 {
		t.Error("a call was made")
	}
}

func second[T any](_ T, err error) error { return err }

func TestUserPagesAreBounded(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	if p.Users.MaxUserPage() != 50 {
		t.Errorf("the largest page is %d", p.Users.MaxUserPage())
	}
	for _, bad := range [][2]int{{0, 51}, {0, 0}, {-1, 50}} {
		if _, err := p.Users.ListUsers(testContext(), bad[0], bad[1]); providers.KindOf(err) != providers.KindInternal {
			t.Errorf("page %d of size %d: %v", bad[0], bad[1], err)
		}
	}
	if len(f.asked("")) != 0 {
		t.Error("a call was made")
	}
}

func TestAShipmentNeedsAChannel(t *testing.T) {
	f := newFake(t)
	s := letter()
	s.Channel = documentsv1.Channel_VALUE_UNSPECIFIED
	var failed *providers.Error
	if err := f.provider().Shipments.SendShipment(testContext(),
		s); !errors.As(err, &failed) || !slices.Equal(failed.Fields, []string{"shipment.channel"}) || len(f.asked("")) != 0 {
		t.Errorf("%v", err)
	}
}

func TestLogosAreJoinedByQueryID(t *testing.T) {
	f := newFake(t)
	f.answer("search_company_logos", 200, `{"results": [
		{"queryID": "c", "company": "C", "status": "ok", "url": "https://l/c"}, {"queryID": "unasked", "company": "U"},
		{"queryID": 1, "company": "A", "status": "weird", "url": ""}, {"queryID": "c", "company": "again"},
		{"queryID": "d", "status": "NOT_FOUND", "company": null, "url": null}, {"queryID": "e"},
		{"queryID": "f", "url": "https://l/f"}, {"queryID": "g", "status": "Ok"}]}`)
	got, err := f.provider().Logos.SearchLogos(testContext(), &insightsv1.SearchCompanyLogosRequest{
		ExactMatch: true,
		Queries: []*insightsv1.SearchCompanyLogosRequest_Query{
			{QueryId: "1", Name: "A"}, {QueryId: "b", Name: "B"}, {QueryId: "c", Name: "C"},
			{QueryId: "d", Name: "D"}, {QueryId: "e", Name: "E"}, {QueryId: "f", Name: "F"}, {QueryId: "g", Name: "G"},
		},
	})
	want := []*insightsv1.CompanyLogo{
		{
			QueryId:      "1",
			Company:      optional.Of("A"),
			Status:       insightsv1.CompanyLogo_OTHER,
			ProviderCode: optional.Of("weird"),
		},
		{
			QueryId:      "c",
			Company:      optional.Of("C"),
			Status:       insightsv1.CompanyLogo_OK,
			ProviderCode: optional.Of("ok"),
			LogoUri:      optional.Of("https://l/c"),
		},
		{QueryId: "d", Status: insightsv1.CompanyLogo_NOT_FOUND, ProviderCode: optional.Of("NOT_FOUND")},
		{QueryId: "e", Status: insightsv1.CompanyLogo_NOT_FOUND},
		{QueryId: "f", Status: insightsv1.CompanyLogo_OK, LogoUri: optional.Of("https://l/f")},
		{QueryId: "g", Status: insightsv1.CompanyLogo_OK, ProviderCode: optional.Of("Ok")},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if query := f.only("search_company_logos").query; query.Get("exactMatch") != "true" || query.Has("fuzziness") {
		t.Errorf("query is %v", query)
	}
}

func TestOperationsCanBeOverridden(t *testing.T) {
	f := newFake(t)
	p := f.provider(func(cfg *Config, _ *providers.Deps) {
		cfg.Operations = providers.Overrides{"send_fax": "POST /documentshipment/letter"}
	})
	if err := p.Shipments.SendShipment(testContext(), testShipment); err != nil {
		t.Fatal(err)
	}
	f.only("send_letter")
	i := slices.IndexFunc(p.Operations, func(op providers.Operation) bool { return op.Name == "send_fax" })
	if op := p.Operations[i]; !op.Overridden || op.Path != "/documentshipment/letter" ||
		op.Standing != providers.InferredLow || op.Effect != providers.Creating {
		t.Errorf("%+v", op)
	}
}

func TestEffectsAndStandings(t *testing.T) {
	var creating, documented []string
	for _, op := range Operations() {
		if op.Effect == providers.Creating {
			creating = append(creating, op.Name)
		}
		if op.Standing == providers.Documented {
			documented = append(documented, op.Name)
		}
		if (op.Effect == providers.Read) != (op.Method == "GET" || op.Name == "search_company_logos") {
			t.Errorf("%s: %s %s", op.Name, op.Method, op.Effect)
		}
	}
	if want := []string{"create_user", "send_fax", "send_letter"}; !slices.Equal(creating, want) {
		t.Errorf("creating: %v", creating)
	}
	if want := []string{
		"authenticate", "create_user", "connect", "get_logins", "set_logins",
	}; !slices.Equal(documented, want) {
		t.Errorf("documented: %v", documented)
	}
}

func TestProvider(t *testing.T) {
	p := newFake(t).provider()
	if p.ID != "finoos" || p.DisplayName != "finoOS" || !p.Serves("DE") || p.Serves("SE") || !p.OneConsentPerUser ||
		p.ConsentOrigin != consentv1.ConsentOrigin_SYNTHESISED {
		t.Errorf("%+v", p)
	}
	if p.Simulator != nil || p.PartnerBanks != nil || p.Webhooks != nil || p.Insights != nil ||
		p.Visualizations != nil {
		t.Error("a port is set that finoOS does not have")
	}
	if p.Users == nil || p.Connections == nil || p.Importer == nil || p.Accounts == nil || p.Holdings == nil ||
		p.PaymentPartners == nil || p.Logos == nil || p.Shipments == nil {
		t.Error("a port is missing")
	}
	unsupported := []providers.Capability{
		"SimulateDecision", "CreatePartnerBank", "GetPartnerBank", "ListPartnerBanks", "UpdatePartnerBank",
		"CreateVisualizationLink",
	}
	for _, capability := range providers.AllCapabilities {
		support, ok := p.Capabilities[capability]
		if ok == slices.Contains(unsupported, capability) {
			t.Errorf("%s: %+v", capability, support)
		}
		if ok && support.Level == providers.Emulated && support.Reason == "" {
			t.Errorf("%s is emulated without a reason", capability)
		}
	}
	for capability := range p.Capabilities {
		if !slices.Contains(providers.AllCapabilities, capability) {
			t.Errorf("there is no %s", capability)
		}
	}
}

func TestConfigurationsAreCheckedByKey(t *testing.T) {
	good := Config{Name: "kontor", Secret: secret.New("CANARY-secret")}
	for key, change := range map[string]func(*Config){
		"name":                  func(c *Config) { c.Name = " " },
		"secret":                func(c *Config) { c.Secret = secret.String{} },
		"base_url":              func(c *Config) { c.BaseURL = "ftp://CANARY" },
		"token_prefix":          func(c *Config) { c.TokenPrefix = "Bearer CANARY" },
		"api_version":           func(c *Config) { c.APIVersion = "CANARY" },
		"operations.connect":    func(c *Config) { c.Operations = providers.Overrides{"connect": "CANARY"} },
		"operations.no_such_op": func(c *Config) { c.Operations = providers.Overrides{"no_such_op": "GET /CANARY"} },
	} {
		cfg := good
		change(&cfg)
		_, err := Kind.With(cfg).Open(context.Background(), providers.Deps{})
		if err == nil || !strings.HasPrefix(err.Error(), key+": ") || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", key, err)
		}
	}
	p, err := Kind.With(good).Open(context.Background(), providers.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	p.Session.(*adapter).Close()
	if got := p.Session.(*adapter).cfg.BaseURL; got != "https://os.fino.cloud/api/v1" {
		t.Errorf("the default is %s", got)
	}
}

func TestTheSecretIsNeverPrinted(t *testing.T) {
	cfg := Config{BaseURL: defaultBaseURL, Name: "kontor", Secret: secret.New("CANARY-secret")}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "config", cfg)
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, &cfg), log.String()} {
		if strings.Contains(text, "CANARY") || !strings.Contains(text, "kontor") {
			t.Error(text)
		}
	}
}

func TestHeaders(t *testing.T) {
	f := newFake(t)
	f.prefix, f.version = "Bearer ", "2020-06-16"
	p := f.provider(func(cfg *Config, _ *providers.Deps) { cfg.TokenPrefix, cfg.APIVersion = "Bearer", "2020-06-16" })
	if err := p.Users.DeleteUser(context.Background(), testUser); err != nil {
		t.Fatal(err)
	}
	if id := f.only("delete_user").header.Get("X-Request-ID"); len(id) != 36 {
		t.Errorf("X-Request-ID is %q, want a fresh UUID", id)
	}
	f.answer("connect", 200, `{"redirectURL": "https://uba.fino.run/1"}`)
	if _, err := p.Links.RenewLink(context.Background(), testRef, testFlow); err != nil {
		t.Fatalf("connect does not need the user's address: %v", err)
	}
	if f.only("connect").header.Get("User-IP") != "" {
		t.Error("User-IP is made up")
	}
}

func TestIdsInPathsAreOneSegment(t *testing.T) {
	f := newFake(t)
	p := f.provider()
	if err := p.Connections.DeleteConnection(testContext(), providers.ConsentRef{ID: "a/b"}, "c/../d?x#y"); err != nil {
		t.Fatal(err)
	}
	if got := f.only("delete_login").path; got != "/users/a%2Fb/banking/logins/c%2F..%2Fd%3Fx%23y" {
		t.Error(got)
	}
	if err := p.Users.DeleteUser(testContext(), ""); providers.KindOf(err) != providers.KindInvalidField {
		t.Errorf("no user: %v", err)
	}
}

// A body that breaks off after a Creating operation was accepted says that it may have happened.
func TestALostAnswerMayHaveHappened(t *testing.T) {
	f := newFake(t)
	hangUp := func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	for _, op := range operations {
		if op.name != "create_user" && op.name != "send_fax" && op.name != "send_letter" {
			continue
		}
		f.handle(op.name, hangUp)
		_, err := op.do(testContext(), f.provider())
		var failed *providers.Error
		if !errors.As(err, &failed) || !failed.MayHaveHappened || failed.Kind != providers.KindUnavailable {
			t.Errorf("%s: %v", op.name, err)
		}
		f.only(op.name)
	}
}
