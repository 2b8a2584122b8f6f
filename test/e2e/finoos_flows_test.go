package e2e

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
)

// TestSynchronization: a bank asks for a new authentication, the customer gives it, and newer data is there.
func TestSynchronization(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.authorized(t, c, finoos.ID)
	connection, user := consent.GetConnections()[0].GetName(), consent.GetProviderReference()
	had := len(streamAll(t, c, consent.GetName()))

	done := must(c.Banking.SyncConnection(asPSU(t), &bankingv1.SyncConnectionRequest{Name: connection}))(t)
	if done.GetLink() != nil ||
		done.GetConnection().GetSyncTime().AsTime().Before(consent.GetConnections()[0].GetSyncTime().AsTime()) {
		t.Errorf("while the authentication lasts, synchronizing gives %v", done)
	}
	if now := len(streamAll(t, c, consent.GetName())); now <= had {
		t.Errorf("there are %d transactions, %d before", now, had)
	} else {
		had = now
	}

	w.finoOS().ExpireLogins(user)
	if lapsed := refresh(t, c, consent.GetName()); lapsed.GetStatus() != consentv1.Consent_AWAITING_REAUTHORIZATION ||
		lapsed.GetDataStage() != consentv1.DataStage_READY {
		t.Errorf("without an authentication the consent is %s, %s", lapsed.GetStatus(), lapsed.GetDataStage())
	}
	if now := len(streamAll(t, c, consent.GetName())); now != had {
		t.Errorf("without an authentication there are %d transactions, %d before", now, had)
	}
	asked := must(c.Banking.SyncConnection(asPSU(t), &bankingv1.SyncConnectionRequest{Name: connection}))(t)
	if asked.GetLink().GetStatus() != typev1.Link_PENDING ||
		asked.GetConnection().GetStatus() != consentv1.Connection_REAUTHORIZATION_REQUIRED {
		t.Fatalf("synchronizing gives %v, want a link", asked)
	}
	if status := get(t, asked.GetLink().GetUri()); status != http.StatusOK {
		t.Errorf("the link answers %d", status)
	}
	location, err := w.finoOS().CompleteLogin(user)
	if err != nil {
		t.Fatal(err)
	}
	if back := w.follow(t, location); back != consent.GetRedirectUris().GetSuccess() {
		t.Errorf("the customer returns to %s", back)
	}
	again := must(c.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent.GetName()}))(t)
	if again.GetStatus() != consentv1.Consent_AUTHORIZED ||
		again.GetConnections()[0].GetStatus() != consentv1.Connection_ACTIVE ||
		again.GetLink().GetStatus() != typev1.Link_COMPLETED {
		t.Errorf("after the new authentication the consent is %v", again)
	}
	if now := len(streamAll(t, c, consent.GetName())); now <= had {
		t.Errorf("after the new authentication there are %d transactions, %d before", now, had)
	}
	seen := types(events(t, c, consent.GetName()))
	for _, want := range []consentv1.ConsentEvent_Type{
		consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED, consentv1.ConsentEvent_SYNC_COMPLETED,
	} {
		if !slices.Contains(seen, want) {
			t.Errorf("the history has no %s: %v", want, seen)
		}
	}
}

// TestManagementSession: the customer removes a bank on the provider's page, and Kontor knows when they are back.
func TestManagementSession(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.authorized(t, c, finoos.ID)
	session := must(c.Banking.CreateManagementSession(asPSU(t), &bankingv1.CreateManagementSessionRequest{
		Name: consent.GetName(),
	}))(t)
	if until := time.Until(session.GetExpireTime().AsTime()); until <= 0 || until > time.Hour {
		t.Errorf("the page works for %s", until)
	}
	visit := &visit{t: t, link: session.GetUri()}
	visit.open()
	login := w.loginOf(t, consent.GetProviderReference())
	visit.submit("/remove", url.Values{"login": {login}})
	if back := w.follow(t, visit.submit("/finish", nil)); back != consent.GetRedirectUris().GetSuccess() {
		t.Errorf("the customer returns to %s", back)
	}
	connections := must(c.Banking.ListConnections(t.Context(), &bankingv1.ListConnectionsRequest{
		Parent: consent.GetName(),
	}))(t).GetConnections()
	if len(connections) != 1 || connections[0].GetStatus() != consentv1.Connection_DISCONNECTED {
		t.Errorf("the banks are %v", connections)
	}
	if seen := types(events(t, c, consent.GetName())); seen[len(seen)-1] != consentv1.ConsentEvent_CONNECTION_REMOVED {
		t.Errorf("the history ends with %v", seen)
	}
}

// loginOf is the id of a user's only login at finoOS.
func (w *world) loginOf(t *testing.T, userID string) string {
	t.Helper()
	for _, user := range w.finoOS().Users() {
		if user.ID == userID && len(user.Logins) == 1 {
			return user.Logins[0]
		}
	}
	t.Fatal("the user has no login, or several")
	return ""
}

// TestDeleteConnection removes one of two banks: the other one's accounts stay.
func TestDeleteConnection(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.authorized(t, c, finoos.ID)
	must(c.Consents.AddBank(asPSU(t), &consentv1.AddBankRequest{Name: consent.GetName()}))(t)
	w.approve(t, c, consent)
	two := refresh(t, c, consent.GetName())
	if len(two.GetConnections()) != 2 || two.GetLink().GetStatus() != typev1.Link_COMPLETED {
		t.Fatalf("after another bank the consent is %v", two)
	}
	first, second := two.GetConnections()[0].GetName(), two.GetConnections()[1].GetName()
	if _, err := c.Banking.DeleteConnection(asPSU(t), &bankingv1.DeleteConnectionRequest{Name: first}); err != nil {
		t.Fatal(failed(err))
	}
	for _, account := range must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
		Parent: consent.GetName(),
	}))(t).GetAccounts() {
		if account.GetConnection() != second {
			t.Errorf("there is still an account of %s", account.GetConnection())
		}
	}
	got := must(c.Banking.GetConnection(t.Context(), &bankingv1.GetConnectionRequest{Name: first}))(t)
	if got.GetStatus() != consentv1.Connection_DISCONNECTED {
		t.Errorf("the removed bank is %s", got.GetStatus())
	}
	// Once more does no harm, and nothing: no customer's address is needed, since nobody is asked.
	told := len(events(t, c, consent.GetName()))
	if _, err := c.Banking.DeleteConnection(
		t.Context(), &bankingv1.DeleteConnectionRequest{Name: first},
	); err != nil || len(events(t, c, consent.GetName())) != told {
		t.Error(failed(err), types(events(t, c, consent.GetName())))
	}
	_, err := c.Banking.SyncConnection(asPSU(t), &bankingv1.SyncConnectionRequest{Name: first})
	if f := failed(err); f == nil || f.reason != "CONNECTION_NOT_FOUND" {
		t.Errorf("newer data of a removed bank: %v", f)
	}
	if user := w.loginOf(t, consent.GetProviderReference()); user == "" {
		t.Error("finoOS has no login any longer")
	}
}

// TestOrphans: a user that no customer has shows as such, and a deleted one as deleted.
func TestOrphans(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond, still: true})
	c := w.client(t, lending)
	orphan := w.orphan(t)
	var consents []*consentv1.Consent
	for range 60 { // more than a page of finoOS
		consents = append(consents, w.createConsent(t, c, finoos.ID))
	}
	orphans, customers := users(t, c)
	if !slices.Equal(orphans, []string{"providers/finoos/users/" + orphan}) {
		t.Errorf("the orphans are %v, want %s", orphans, orphan)
	}
	if len(customers) != len(consents) {
		t.Errorf("%d users have a customer, want %d", len(customers), len(consents))
	}
	for _, consent := range consents {
		if customers["providers/finoos/users/"+consent.GetProviderReference()] != consent.GetCustomer() {
			t.Errorf("the user of %s belongs to another customer", consent.GetName())
		}
	}
	// To another tenant with the same account they are all orphans: it learns no customer's name.
	if _, foreign := users(t, w.client(t, acme)); len(foreign) > 0 {
		t.Errorf("another tenant sees customers: %v", foreign)
	}
}

// orphan makes a user at finoOS past the gateway.
func (w *world) orphan(t *testing.T) string {
	t.Helper()
	call := func(path, token string, body, answer any) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(
			t.Context(), http.MethodPost, w.Played[finoos.ID].URL+finoos.BasePath+path,
			strings.NewReader(string(text)),
		)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		resp, err := httpClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(answer); err != nil || resp.StatusCode/100 != 2 {
			t.Fatalf("%s: %d %v", path, resp.StatusCode, err)
		}
	}
	var token struct{ AccessToken string }
	call("/auth", "", object{"name": finoos.DemoName, "secret": finoos.DemoSecret}, &token)
	var user struct{ ID string }
	call("/users", token.AccessToken, object{"type": "person", "scopes": []string{"banking"}}, &user)
	return user.ID
}

// TestPaymentPartners holds a company's analysis against its transactions.
func TestPaymentPartners(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	company := w.createCustomer(
		t, c, customerv1.Customer_COMPANY, customerv1.Product_BANKING, customerv1.Product_PAYMENT_PARTNER_ANALYSIS,
	)
	consent := w.authorized(t, c, finoos.ID, ofCustomer(company))
	sums := map[string]*big.Rat{}
	counts := map[string]int32{}
	for _, transaction := range streamAll(t, c, consent.GetName()) {
		if iban := transaction.GetCounterparty().GetIban(); iban != "" &&
			transaction.GetStatus() == bankingv1.Transaction_BOOKED {
			key := transaction.GetAccount() + " " + iban
			amount := rat(t, transaction.GetAmount())
			if amount.Sign() < 0 {
				key += " out"
			}
			if sums[key] == nil {
				sums[key] = new(big.Rat)
			}
			sums[key].Add(sums[key], amount.Abs(amount))
			counts[key]++
		}
	}
	analysis := must(c.Insights.GetPaymentPartnerAnalysis(t.Context(), &insightsv1.GetPaymentPartnerAnalysisRequest{
		Name: consent.GetName() + "/paymentPartnerAnalysis",
	}))(t)
	checked := 0
	for _, account := range analysis.GetAccounts() {
		for direction, partners := range map[string][]*insightsv1.PaymentPartner{
			"": account.GetCustomers().GetAll(), " out": account.GetSuppliers().GetAll(),
		} {
			for _, partner := range partners {
				key := account.GetAccount() + " " + partner.GetIban() + direction
				if partner.GetIban() == "" || account.GetAccount() == "" {
					continue
				}
				total, ok := new(big.Rat).SetString(partner.GetTotalAmount().GetValue())
				if !ok || sums[key] == nil || total.Cmp(sums[key]) != 0 ||
					partner.GetTransactionCount() != counts[key] {
					t.Errorf(
						"a partner has %s in %d transactions, the account says %v in %d", partner.GetTotalAmount(),
						partner.GetTransactionCount(), sums[key], counts[key],
					)
				}
				checked++
			}
		}
	}
	if checked < 3 {
		t.Errorf("only %d partners could be held against transactions", checked)
	}
}

// TestHoldings: standing orders and securities belong to accounts; one account's are part of all.
func TestHoldings(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.withPerson(t, c, finoos.ID, sandbox.GoodNationalID)
	var orders, securities int
	for _, account := range must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
		Parent: consent.GetName(),
	}))(t).GetAccounts() {
		for _, order := range must(c.Banking.ListStandingOrders(
			t.Context(), &bankingv1.ListStandingOrdersRequest{Parent: account.GetName()},
		))(t).GetStandingOrders() {
			orders++
			if order.GetAccount() != account.GetName() || rat(t, order.GetAmount()).Sign() <= 0 {
				t.Errorf("a standing order of %s is %v", account.GetName(), order)
			}
		}
		held := must(c.Banking.ListSecurities(t.Context(), &bankingv1.ListSecuritiesRequest{
			Parent: account.GetName(),
		}))(t).GetSecurities()
		securities += len(held)
		for _, security := range held {
			if security.GetAccount() != account.GetName() || account.GetType() != bankingv1.Account_SECURITIES {
				t.Errorf("a security of %s is %v", account.GetName(), security)
			}
		}
	}
	all := consent.GetName() + "/accounts/-"
	allOrders := must(c.Banking.ListStandingOrders(
		t.Context(), &bankingv1.ListStandingOrdersRequest{Parent: all},
	))(t).GetStandingOrders()
	allSecurities := must(c.Banking.ListSecurities(
		t.Context(), &bankingv1.ListSecuritiesRequest{Parent: all},
	))(t).GetSecurities()
	if len(allOrders) != orders || len(allSecurities) != securities || orders == 0 || securities == 0 {
		t.Errorf(
			"account by account there are %d orders and %d securities, in all %d and %d", orders, securities,
			len(allOrders), len(allSecurities),
		)
	}
	names := map[string]bool{}
	for _, order := range allOrders { // some have no id at finoOS
		names[order.GetName()] = true
	}
	if len(names) != len(allOrders) {
		t.Errorf("%d standing orders have %d names", len(allOrders), len(names))
	}
	_, err := c.Banking.ListStandingOrders(t.Context(), &bankingv1.ListStandingOrdersRequest{
		Parent: consent.GetName() + "/accounts/none",
	})
	wantReason(t, err, "ACCOUNT_NOT_FOUND")
}

// TestImport replaces and merges data that the caller brings along.
func TestImport(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	customer := w.createCustomer(
		t, c, customerv1.Customer_PERSON, customerv1.Product_BANKING, customerv1.Product_IMPORT,
	)
	request := importRequest(customer.GetName())
	first := must(c.Banking.ImportConnections(t.Context(), request))(t).GetConsent()
	bank := func(id, name, account, balance string) *bankingv1.ImportedConnection {
		return &bankingv1.ImportedConnection{
			Id: id, Bank: &consentv1.Connection_Bank{DisplayName: optional.Of(name)},
			Accounts: []*bankingv1.ImportedAccount{{Id: account, Balance: &typev1.Money{
				Value: balance, CurrencyCode: "EUR",
			}}},
		}
	}
	read := func() map[string]string {
		balances := map[string]string{}
		for _, account := range must(c.Banking.ListAccounts(t.Context(), &bankingv1.ListAccountsRequest{
			Parent: first.GetName(),
		}))(t).GetAccounts() {
			connection := must(c.Banking.GetConnection(t.Context(), &bankingv1.GetConnectionRequest{
				Name: account.GetConnection(),
			}))(t)
			balances[connection.GetBank().GetDisplayName()] += account.GetBalance().GetValue()
		}
		return balances
	}
	merged := must(c.Banking.ImportConnections(t.Context(), &bankingv1.ImportConnectionsRequest{
		Name: customer.GetName(), Mode: bankingv1.ImportConnectionsRequest_MERGE,
		Connections: []*bankingv1.ImportedConnection{
			bank("login-1", "Brought Bank", "account-1", "7.00"),
			bank("login-2", "Second Bank", "account-2", "-0.50"),
		},
	}))(t).GetConsent()
	if merged.GetName() != first.GetName() || len(merged.GetConnections()) != 2 {
		t.Errorf("merging gives %v", merged)
	}
	if got := read(); got["Brought Bank"] != "7.00" || got["Second Bank"] != "-0.50" {
		t.Errorf("after merging the balances are %v", got)
	}
	if transactions := streamAll(t, c, first.GetName()); len(transactions) != 2 {
		t.Errorf("after merging there are %d transactions, want those from before", len(transactions))
	}
	replaced := must(c.Banking.ImportConnections(t.Context(), &bankingv1.ImportConnectionsRequest{
		Name: customer.GetName(), Mode: bankingv1.ImportConnectionsRequest_REPLACE,
		Connections: []*bankingv1.ImportedConnection{bank("login-3", "Third Bank", "account-3", "1")},
	}))(t).GetConsent()
	standing := map[string]consentv1.Connection_Status{}
	for _, connection := range replaced.GetConnections() {
		standing[connection.GetBank().GetDisplayName()] = connection.GetStatus()
	}
	if standing["Third Bank"] != consentv1.Connection_ACTIVE ||
		standing["Brought Bank"] != consentv1.Connection_DISCONNECTED ||
		standing["Second Bank"] != consentv1.Connection_DISCONNECTED {
		t.Errorf("after replacing the banks are %v", standing)
	}
	if got := read(); len(got) != 1 || got["Third Bank"] != "1" {
		t.Errorf("after replacing the balances are %v", got)
	}
	got := must(c.Insights.GetInsights(t.Context(), &insightsv1.GetInsightsRequest{
		Name: first.GetName() + "/insights",
	}))(t)
	if got.GetOrigin() != insightsv1.InsightsOrigin_DERIVED || len(got.GetTotalBalances()) != 1 ||
		got.GetTotalBalances()[0].GetValue() != "1" {
		t.Errorf("the insights are %v", got)
	}
	_, err := c.Banking.ImportConnections(t.Context(), &bankingv1.ImportConnectionsRequest{
		Name:        customer.GetName(),
		Connections: []*bankingv1.ImportedConnection{bank("same", "A", "a", "1"), bank("same", "B", "b", "1")},
	})
	if f := failed(err); f == nil || f.code != codes.InvalidArgument {
		t.Errorf("two logins with one id: %v", f)
	}
	plain := w.createCustomer(t, c, customerv1.Customer_PERSON)
	_, err = c.Banking.ImportConnections(t.Context(), importRequest(plain.GetName()))
	wantReason(t, err, "CAPABILITY_NOT_ENABLED")
}

// TestProducts: what is booked for a user at finoOS follows the customer's products.
func TestProducts(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	customer := w.createCustomer(t, c, customerv1.Customer_PERSON)
	consent := w.createConsent(t, c, finoos.ID, ofCustomer(customer))
	scopes := func() []string {
		for _, user := range w.finoOS().Users() {
			if user.ID == consent.GetProviderReference() {
				slices.Sort(user.Scopes)
				return user.Scopes
			}
		}
		t.Fatal("finoOS does not have the user")
		return nil
	}
	if got := scopes(); !slices.Equal(got, []string{"banking"}) {
		t.Errorf("a new user has %v", got)
	}
	for _, change := range []struct {
		products []customerv1.Product_Value
		scopes   []string
	}{
		{
			[]customerv1.Product_Value{
				customerv1.Product_BANKING, customerv1.Product_COMPANIES, customerv1.Product_CONTRACTS,
			},
			[]string{"banking", "companies", "contracts"},
		},
		{
			[]customerv1.Product_Value{customerv1.Product_CONTRACTS, customerv1.Product_BANKING},
			[]string{"banking", "contracts"},
		},
		{[]customerv1.Product_Value{customerv1.Product_BANKING}, []string{"banking"}},
	} {
		updated := must(c.Customers.UpdateCustomer(t.Context(), &customerv1.UpdateCustomerRequest{
			Customer:   &customerv1.Customer{Name: customer.GetName(), Products: change.products},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"products"}},
		}))(t)
		if !slices.Equal(updated.GetProducts(), change.products) || updated.GetReference() != customer.GetReference() {
			t.Errorf("the customer is %v", updated)
		}
		if got := scopes(); !slices.Equal(got, change.scopes) {
			t.Errorf("for %v the user has %v, want %v", change.products, got, change.scopes)
		}
	}
}

// TestLettersAndFaxes: the provider gets the document whole, and Kontor keeps none of it.
func TestLettersAndFaxes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{step: 20 * time.Millisecond})
	w.secret(string(pdf[:30]), "a document")
	c := w.client(t, lending)
	for _, channel := range []documentsv1.Channel_Value{documentsv1.Channel_FAX, documentsv1.Channel_LETTER} {
		for recipient, status := range map[string]documentsv1.Shipment_Status{
			"Notariat Nord": documentsv1.Shipment_DELIVERED, "Will fail GmbH": documentsv1.Shipment_FAILED,
		} {
			shipment := must(c.Documents.CreateShipment(t.Context(), newShipment(recipient, channel)))(t)
			if got := delivered(t, c, shipment.GetName(), status); got.GetPdf() != nil ||
				got.GetRecipient() != recipient {
				t.Errorf("the shipment is %v", got)
			}
		}
	}
	for _, accepted := range w.finoOS().Shipments() {
		if accepted.PDFSize != len(pdf) {
			t.Errorf("a %s arrived with %d bytes, want %d", accepted.Channel, accepted.PDFSize, len(pdf))
		}
	}
	if n := len(w.finoOS().Shipments()); n != 4 {
		t.Errorf("finoOS took %d shipments, want 4", n)
	}
}

// TestSpoofedAddress: the address of the end user is what the caller says it is, and never that of a connection.
func TestSpoofedAddress(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	consent := w.authorized(t, w.client(t, lending), finoos.ID)
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "Grpc-Metadata-Psu-Ip-Address", "X-Real-Ip"} {
		resp, err := w.client(t, lending).send(
			t.Context(), http.MethodPost, "/v1/"+consent.GetName()+":manage", []byte("{}"),
			headers{name: "203.0.113.7"},
		)
		if err != nil {
			t.Fatal(err)
		}
		if f, _, err := readFailure(resp); err != nil || f.reason != "PSU_IP_REQUIRED" {
			t.Errorf("%s: got %v %v, want PSU_IP_REQUIRED", name, f, err)
		}
		resp.Body.Close()
	}
}

func TestFieldsThatFinoosRefuses(t *testing.T) {
	t.Parallel()
	refuseFields(t, finoos.ID, fieldRefusal{
		operation: "send_fax",
		body:      `{"type": "invalid_input", "message": "recipient ` + canary + ` is unknown"}`,
		rpc:       "kontor.documents.v1.DocumentService/CreateShipment",
		request: object{"shipment": object{
			"channel": "FAX", "recipient": "Notariat Nord", "subject": "Contract",
			"pdf":     base64.StdEncoding.EncodeToString(pdf),
			"address": object{"city": "Hamburg", "countryCode": "DE"},
		}},
		field: "shipment.recipient",
	})
}
