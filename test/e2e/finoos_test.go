package e2e

import (
	"strings"
	"testing"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	typev1 "kontor.dev/kontor/gen/go/kontor/type/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

var _ = providers.Add(finoos.ID, provider{
	alone:  "german",
	origin: consentv1.ConsentOrigin_SYNTHESISED,
	setups: map[string]setup{
		// a consent whose bank asks for a new authentication
		"lapsed": func(t *testing.T, w *world, c *client, provider string) vars {
			consent := w.authorized(t, c, provider)
			w.finoOS().ExpireLogins(consent.GetProviderReference())
			return consentVars(refresh(t, c, consent.GetName()))
		},
		// a user that no customer has, and one that was made a moment ago
		"orphan": func(_ *testing.T, w *world, _ *client, _ string) vars {
			const users = "providers/" + finoos.ID + "/users/"
			return vars{"user": users + w.finoOS().AddUser(time.Hour), "newUser": users + w.finoOS().AddUser(0)}
		},
		// the same, of which Kontor does not know yet
		"lapsedUnseen": func(t *testing.T, w *world, c *client, provider string) vars {
			consent := w.authorized(t, c, provider)
			w.finoOS().ExpireLogins(consent.GetProviderReference())
			return consentVars(consent)
		},
		// a consent two of whose banks ask for a new authentication
		"lapsedTwice": func(t *testing.T, w *world, c *client, provider string) vars {
			consent := w.authorized(t, c, provider)
			w.approve(t, c, must(c.Consents.AddBank(asPSU(t), &consentv1.AddBankRequest{Name: consent.GetName()}))(t))
			w.finoOS().ExpireLogins(consent.GetProviderReference())
			return consentVars(refresh(t, c, consent.GetName()))
		},
		// a fax that was delivered
		"shipment": func(t *testing.T, w *world, c *client, _ string) vars {
			shipment := must(c.Documents.CreateShipment(t.Context(), newShipment(
				"Notariat Nord", documentsv1.Channel_FAX,
			)))(t)
			delivered(t, c, shipment.GetName(), documentsv1.Shipment_DELIVERED)
			return vars{"shipment": shipment.GetName()}
		},
	},
	showPerson: func(t *testing.T, w *world, consent *consentv1.Consent, person sandbox.Person) {
		if err := w.finoOS().SetPerson(consent.GetProviderReference(), person); err != nil {
			t.Fatal(err)
		}
	},
	logins: func(p *sandbox.Population, person sandbox.Person) []sandbox.BankLogin {
		return p.Dress(person, sandbox.Germany).Logins
	},
	pending:       true,
	namesRequests: true,
	journeys:      finoosJourneys,
	failedLogin:   failedLoginAtFinoOS,
	creations:     finoosCreations,
	forge:         forgeFinoOS,
	receipt:       "user",
	left: func(t *testing.T, w *world, consent *consentv1.Consent) {
		for _, user := range w.finoOS().Users() {
			if user.ID == consent.GetProviderReference() && !user.Deleted {
				t.Error("finoOS still has the user")
			}
		}
	},
})

// finoOS is the played finoOS.
func (w *world) finoOS() *finoos.Server { return sandboxes.As[*finoos.Server](w.Running, finoos.ID) }

func failedLoginAtFinoOS(t *testing.T, w *world, c *client) {
	consent := w.createConsent(t, c, finoos.ID)
	location, err := w.finoOS().FailLogin(consent.GetProviderReference())
	if err != nil {
		t.Fatal(err)
	}
	if back := w.follow(t, location); back != consent.GetRedirectUris().GetError() {
		t.Errorf("the customer returns to %s", back)
	}
	got := refresh(t, c, consent.GetName())
	if got.GetStatus() != consentv1.Consent_FAILED || got.GetLink().GetStatus() != typev1.Link_ERRORED {
		t.Errorf("after the failure the consent is %v", got)
	}
	renewed := must(c.Consents.RenewConsentLink(t.Context(), &consentv1.RenewConsentLinkRequest{
		Name: consent.GetName(),
	}))(t)
	if renewed.GetStatus() != consentv1.Consent_AWAITING_AUTHORIZATION ||
		renewed.GetLink().GetUri() == consent.GetLink().GetUri() {
		t.Errorf("with a new link the consent is %v", renewed)
	}
	w.approve(t, c, renewed)
	ready(t, c, consent.GetName())
}

func finoosCreations(w *world) []*creation {
	back := w.app.URL + "/back/success"
	return []*creation{
		{
			what: "consent at finoOS", rpc: "kontor.consent.v1.ConsentService/CreateConsent", setup: "none",
			callers: 100,
			request: object{"consent": object{"provider": finoos.ID, "market": "DE", "redirectUris": object{
				"success": back, "error": back, "exit": back,
			}}},
			change:   func(r object) { r["customerType"] = "COMPANY" },
			upstream: upstreamCalls{"create_user": 1, "connect": 1},
		}, {
			what: "another bank at finoOS", rpc: "kontor.consent.v1.ConsentService/AddBank", setup: "authorized",
			callers:  20,
			request:  object{"name": "${consent}"},
			upstream: upstreamCalls{"get_logins": 1, "synchronization_status": 1, "banking_overview": 1},
		}, {
			what: "a new link at finoOS", rpc: "kontor.consent.v1.ConsentService/RenewConsentLink", setup: "pending",
			callers: 20, request: object{"name": "${consent}"},
			upstream: upstreamCalls{"get_logins": 1, "connect": 1},
		}, {
			what: "a new authentication", rpc: "kontor.consent.v1.ConsentService/RenewConsentLink", setup: "lapsed",
			callers: 20, request: object{"name": "${consent}"},
			upstream: upstreamCalls{"get_logins": 1, "synchronization_status": 1, "synchronize": 1},
		}, {
			what: "newer data", rpc: "kontor.banking.v1.BankingService/SyncConnection", setup: "authorized",
			callers: 20, request: object{"name": "${connection}"},
			upstream: upstreamCalls{"get_logins": 1, "synchronization_status": 1, "synchronize": 1},
		}, {
			what: "newer data after a new authentication", rpc: "kontor.banking.v1.BankingService/SyncConnection",
			setup: "lapsed", callers: 20, request: object{"name": "${connection}"},
			upstream: upstreamCalls{"synchronize": 1},
		}, {
			what: "management", rpc: "kontor.banking.v1.BankingService/CreateManagementSession", setup: "authorized",
			callers: 20, request: object{"name": "${consent}"}, upstream: upstreamCalls{"banking_overview": 1},
		}, {
			what: "a removal", rpc: "kontor.banking.v1.BankingService/DeleteConnection", setup: "authorized",
			callers: 20, request: object{"name": "${connection}"}, upstream: upstreamCalls{"delete_login": 1},
		}, {
			what: "an end at finoOS", rpc: "kontor.consent.v1.ConsentService/RevokeConsent", setup: "authorized",
			callers: 20, request: object{"name": "${consent}"}, change: func(r object) { r["etag"] = "*" },
			upstream: upstreamCalls{"disconnect": 1},
		}, {
			what: "import", rpc: "kontor.banking.v1.BankingService/ImportConnections", setup: "importer", callers: 20,
			request: object{"name": "${customer}", "connections": []any{object{
				"id": "l", "bank": object{"displayName": "B"}, "accounts": []any{
					object{"id": "a", "balance": object{"value": "0.10", "currencyCode": "EUR"}},
				},
			}}},
			change:   func(r object) { r["mode"] = "REPLACE" },
			upstream: upstreamCalls{"create_user": 1, "update_logins": 1},
		}, {
			what: "fax", rpc: "kontor.documents.v1.DocumentService/CreateShipment", setup: "none", callers: 100,
			request: object{"shipment": object{
				"channel": "FAX", "recipient": "Notariat Nord", "subject": "Contract", "pdf": pdf,
				"address": object{"city": "Hamburg", "countryCode": "DE"},
			}},
			change:   func(r object) { r["shipment"].(object)["subject"] = "Another contract" },
			upstream: upstreamCalls{"send_fax": 1},
		},
	}
}

// forgeFinoOS forges ways back of customers, and reports on a shipment.
func forgeFinoOS(
	t *testing.T, w *world, c *client, consent *consentv1.Consent,
) (func(token string) map[string]int, func()) {
	w.finoOS().SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever})
	shipment := must(c.Documents.CreateShipment(t.Context(), newShipment("Notariat Nord", documentsv1.Channel_FAX)))(t)
	id := strings.TrimPrefix(shipment.GetName(), "shipments/")
	return func(token string) map[string]int {
			at := w.public.URL + "/callbacks/"
			return map[string]int{
				"redirect": get(t, at+"redirects/"+token+"/success?userID="+consent.GetProviderReference()),
				"report":   post(t, at+"shipments/"+token+"?requestid="+id+"&success=true", ""),
			}
		}, func() {
			wantSame(
				t, "the shipment",
				must(c.Documents.GetShipment(t.Context(), &documentsv1.GetShipmentRequest{
					Name: shipment.GetName(),
				}))(t),
				shipment,
			)
		}
}

// TestDeletedUsersHaveNothing: what finoOS keeps of a user who is deleted is that they were.
func TestDeletedUsersHaveNothing(t *testing.T) {
	t.Parallel()
	w := live.get(t)
	c := w.client(t, lending)
	consent := w.authorized(t, c, finoos.ID)
	must(c.Customers.DeleteCustomer(asPSU(t), &customerv1.DeleteCustomerRequest{Name: consent.GetCustomer()}))(t)
	deleted := 0
	for _, user := range w.finoOS().Users() {
		if user.Deleted {
			deleted++
			if len(user.Logins) > 0 {
				t.Error("a deleted user has logins")
			}
		}
	}
	if deleted == 0 {
		t.Error("no user is deleted")
	}
}

// users lists finoOS's users that are not deleted: those of nobody, and the customers of the others.
func users(t *testing.T, c *client) (orphans []string, customers map[string]string) {
	t.Helper()
	customers = map[string]string{}
	for token := ""; ; {
		page := must(c.Providers.ListProviderUsers(t.Context(), &providerv1.ListProviderUsersRequest{
			Parent: "providers/finoos", PageSize: 1000, PageToken: token,
		}))(t)
		for _, user := range page.GetUsers() {
			switch {
			case user.GetDeleted():
			case user.GetCustomer() == "":
				orphans = append(orphans, user.GetName())
			default:
				customers[user.GetName()] = user.GetCustomer()
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return orphans, customers
		}
	}
}
