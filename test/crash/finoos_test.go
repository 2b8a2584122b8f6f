package crash

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

// finoOS's operations, as a gate names them.
const (
	opAuthenticate = "POST /auth"
	opCreateUser   = "POST /users"
	opConnect      = "POST /users/*/banking/connect"
	opOverview     = "POST /users/*/banking/overview"
	opDisconnect   = "DELETE /users/*/banking/connect"
	opSetLogins    = "POST /users/*/banking/logins"
	opFax          = "POST /documentshipment/fax"
	opLetter       = "POST /documentshipment/letter"
)

// What callers ask finoOS for: a user whose making is not answered cannot be found again, nor can a fax.
var (
	aGermanConsent = consentKind(finoos.ID, false, false)
	aFax           = &kind{send: func(ctx context.Context, c *worldtest.Stubs, r *request) (proto.Message, error) {
		return call(c.Documents.CreateShipment(ctx, shipmentRequest(r.key, documentsv1.Channel_FAX)))
	}}
)

var _ = providers.Add(finoos.ID, provider{
	operations: finoOSsOperations,
	calm:       func(w *world) { finoOS(w).SetCallbacks(finoos.Callbacks{Mode: finoos.CallbacksNever}) },
	kinds:      []*kind{aGermanConsent, aFax},
	accounts:   finoOSsAccounts,
	whole:      func(t *testing.T, w *world) { orphansAreListed(t, w) },
	audited:    finoOSsAudited,
	markets:    []string{"DE"}, receipt: "user", counts: 1, deletes: "delete_user",
	gone: func(t *testing.T, w *world) {
		if users(w) == 0 {
			t.Error("finoOS never had a user")
		}
		for _, user := range finoOS(w).Users() {
			if !user.Deleted {
				t.Error("finoOS still has the user")
			}
		}
	},
})

// finoOS is the played finoOS.
func finoOS(w *world) *finoos.Server { return sandboxes.As[*finoos.Server](w.Running, finoos.ID) }

func users(w *world) int { return len(finoOS(w).Users()) }

func shipments(w *world) int { return len(finoOS(w).Shipments()) }

// logins counts the connections that were imported.
func logins(w *world) (count int) {
	for _, user := range finoOS(w).Users() {
		count += len(user.Logins)
	}
	return count
}

func createShipment(channel documentsv1.Channel_Value) prepared {
	return func(_ *testing.T, _ *world, key string) func(context.Context, *worldtest.Stubs) (proto.Message, error) {
		return func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
			return call(c.Documents.CreateShipment(ctx, shipmentRequest(key, channel)))
		}
	}
}

// knownCustomer has a user at finoOS already, from a consent that was deleted.
func knownCustomer(t *testing.T, w *world) string {
	t.Helper()
	name := newCustomer(t, w)
	request := consentRequest(uuid.NewString(), finoos.ID, "", name)
	consent := must(w.client.Consents.CreateConsent(w.context(), request))(t)
	must(w.client.Consents.DeleteConsent(w.context(), &consentv1.DeleteConsentRequest{Name: consent.GetName()}))(t)
	w.restart()
	return name
}

var finoOSsOperations = []creating{
	{
		name: "CreateConsent/finoOS/new-customer", prepare: createConsent(finoos.ID, "DE", noCustomer), effects: users,
		steps: []step{{opAuthenticate, false}, {opCreateUser, false}, {opConnect, true}},
	},
	{
		name: "CreateConsent/finoOS/known-customer", prepare: createConsent(finoos.ID, "DE", plainCustomer),
		effects: users,
		steps:   []step{{opAuthenticate, false}, {opCreateUser, false}, {opConnect, true}},
	},
	{
		name: "CreateConsent/finoOS/known-user", prepare: createConsent(finoos.ID, "DE", knownCustomer),
		steps: []step{{opAuthenticate, true}, {opConnect, true}},
	},
	{
		name: "CreateShipment/fax", prepare: createShipment(documentsv1.Channel_FAX), effects: shipments,
		steps: []step{{opAuthenticate, false}, {opFax, false}},
	},
	{
		name: "CreateShipment/letter", prepare: createShipment(documentsv1.Channel_LETTER), effects: shipments,
		steps: []step{{opAuthenticate, false}, {opLetter, false}},
	},
	{
		name: "ImportConnections", effects: logins,
		prepare: func(
			t *testing.T, w *world, key string,
		) func(context.Context, *worldtest.Stubs) (proto.Message, error) {
			request := &bankingv1.ImportConnectionsRequest{
				Name: newCustomer(t, w, customerv1.Product_BANKING, customerv1.Product_IMPORT),
				Mode: bankingv1.ImportConnectionsRequest_REPLACE,
				Connections: []*bankingv1.ImportedConnection{
					{
						Id: "login-" + key,
						Bank: &consentv1.Connection_Bank{
							DisplayName: optional.Of("Hansebank"),
							BankCode:    optional.Of("20090602"),
						},
					},
				},
				RequestId: key,
			}
			return func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
				return call(c.Banking.ImportConnections(ctx, request))
			}
		},
		steps: []step{{opAuthenticate, false}, {opCreateUser, false}, {opSetLogins, true}},
	},
	{
		name:    "RenewConsentLink/finoOS",
		prepare: renewLink(finoos.ID),
		steps:   []step{{opAuthenticate, true}, {opConnect, true}},
	},
	{
		name:    "RevokeConsent/finoOS",
		prepare: revoke(finoos.ID),
		steps:   []step{{opAuthenticate, true}, {opDisconnect, true}},
	},
	{
		name:    "AddBank/finoOS",
		prepare: addBank(finoos.ID),
		steps:   []step{{opAuthenticate, true}, {opOverview, true}},
	},
}

func finoOSsAccounts(t *testing.T, w *world, all []*request) {
	accepted := map[string]int{}
	for _, shipment := range finoOS(w).Shipments() {
		accepted[shipment.Subject]++
	}
	for _, fax := range ofKind(all, aFax) {
		if n := accepted[fax.key]; n > 1 || fax.err == nil && n != 1 {
			t.Errorf("a fax was accepted %d times; the answer is %v", n, fax.err)
		}
	}
	made, unknown := 0, 0
	for _, r := range ofKind(all, aGermanConsent) {
		if r.err != nil {
			unknown++
		} else {
			made++
		}
	}
	orphans := orphansAreListed(t, w)
	if n := users(w); n != made+orphans || orphans > unknown {
		t.Errorf("finoOS has %d users, for %d consents; %d users are listed without a customer, %d outcomes unknown",
			n, made, orphans, unknown)
	}
}

// orphansAreListed demands that ListProviderUsers shows every user that finoOS has, each with the customer that it
// belongs to, who exists, or without one. It counts those without.
func orphansAreListed(t *testing.T, w *world) (orphans int) {
	t.Helper()
	listed := map[string]*providerv1.ProviderUser{}
	for token := ""; ; {
		page := must(w.client.Providers.ListProviderUsers(w.context(), &providerv1.ListProviderUsersRequest{
			Parent: "providers/" + finoos.ID, PageSize: 1000, PageToken: token,
		}))(t)
		for _, user := range page.GetUsers() {
			listed[user.GetName()] = user
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for _, user := range finoOS(w).Users() {
		shown := listed["providers/"+finoos.ID+"/users/"+user.ID]
		switch {
		case shown == nil:
			t.Errorf("finoOS has a user that is not listed (deleted: %t)", user.Deleted)
		case shown.GetCustomer() != "":
			must(w.client.Customers.GetCustomer(w.context(), &customerv1.GetCustomerRequest{
				Name: shown.GetCustomer(),
			}))(t)
		case !user.Deleted:
			orphans++
		}
	}
	return orphans
}

// finoOSsAudited are the calls that finoOS is asked for.
func finoOSsAudited(w *world, check func(audited) proto.Message) {
	c, t := w.client, w.t
	company := newCustomer(t, w, customerv1.Product_BANKING, customerv1.Product_IMPORT)
	imported := check(audited{method: "ImportConnections", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Banking.ImportConnections(ctx, &bankingv1.ImportConnectionsRequest{
			Name: company, Mode: bankingv1.ImportConnectionsRequest_REPLACE,
			Connections: []*bankingv1.ImportedConnection{{Id: "l", Bank: &consentv1.Connection_Bank{
				DisplayName: optional.Of("Hansebank"),
			}}},
		}))
	}})

	german := check(audited{method: "CreateConsent", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Consents.CreateConsent(ctx, consentRequest("", finoos.ID, "", "")))
	}})
	location, err := finoOS(w).CompleteLogin(german.(*consentv1.Consent).GetProviderReference())
	if err != nil {
		t.Fatal(err)
	}
	w.comeBack(location)
	connection := must(c.Banking.ListConnections(w.context(), &bankingv1.ListConnectionsRequest{
		Parent: named(german),
	}))(t).GetConnections()[0].GetName()
	check(audited{method: "CreateManagementSession", about: named(german), do: func(ctx context.Context) (
		proto.Message, error,
	) {
		return call(c.Banking.CreateManagementSession(
			ctx, &bankingv1.CreateManagementSessionRequest{Name: named(german)},
		))
	}})
	check(audited{method: "DeleteConnection", about: connection, do: func(ctx context.Context) (proto.Message, error) {
		defer func() { // it comes back for what follows
			if _, err := c.Consents.AddBank(w.context(), &consentv1.AddBankRequest{Name: named(german)}); err != nil {
				t.Error(err)
			}
			if location, err = finoOS(w).CompleteLogin(german.(*consentv1.Consent).GetProviderReference()); err != nil {
				t.Error(err)
			}
			w.comeBack(location)
		}()
		return call(c.Banking.DeleteConnection(ctx, &bankingv1.DeleteConnectionRequest{Name: connection}))
	}})
	connections := must(c.Banking.ListConnections(w.context(), &bankingv1.ListConnectionsRequest{
		Parent: named(german),
	}))(t).GetConnections()
	active := slices.IndexFunc(connections, func(c *consentv1.Connection) bool {
		return c.GetStatus() == consentv1.Connection_ACTIVE
	})
	if active < 0 {
		t.Fatalf("there is no connection to synchronize: %v", connections)
	}
	check(audited{method: "SyncConnection", about: connections[active].GetName(), do: func(ctx context.Context) (
		proto.Message, error,
	) {
		return call(c.Banking.SyncConnection(ctx, &bankingv1.SyncConnectionRequest{
			Name: connections[active].GetName(),
		}))
	}})

	check(audited{method: "CreateShipment", do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Documents.CreateShipment(ctx, shipmentRequest(uuid.NewString(), documentsv1.Channel_LETTER)))
	}})
	w.Played[finoos.ID].Core.Faults.Add(sandbox.Fault{Operation: "send_fax", HangUp: sandbox.HangUpAfter, Times: 1})
	check(audited{method: "CreateShipment", outcome: "OUTCOME_UNKNOWN", do: func(ctx context.Context) (
		proto.Message, error,
	) {
		return call(c.Documents.CreateShipment(ctx, shipmentRequest(uuid.NewString(), documentsv1.Channel_FAX)))
	}})

	orphan := "providers/" + finoos.ID + "/users/" + finoOS(w).AddUser(time.Hour)
	check(audited{method: "DeleteProviderUser", about: orphan, do: func(ctx context.Context) (proto.Message, error) {
		return call(c.Providers.DeleteProviderUser(ctx, &providerv1.DeleteProviderUserRequest{Name: orphan}))
	}})

	check(audited{method: "DeleteConsent", about: named(imported), do: func(ctx context.Context) (
		proto.Message, error,
	) {
		return call(c.Consents.DeleteConsent(ctx, &consentv1.DeleteConsentRequest{Name: named(imported)}))
	}})
}
