package providertest

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/providers"
)

func testUsers(t *testing.T, h Harness) {
	if h.Provider.Users == nil {
		unsupported(t, h.Provider, "ListProviderUsers")
		return
	}
	id := h.user(t)
	for range 2 { // the second finds it done, which is no error
		if err := h.Provider.Users.AddProduct(call(t), id, customerv1.Customer_COMPANY_LOGOS); err != nil {
			t.Fatalf("add a product: %v", err)
		}
	}
	for range 2 {
		if err := h.Provider.Users.RemoveProduct(call(t), id, customerv1.Customer_COMPANY_LOGOS); err != nil {
			t.Fatalf("remove a product: %v", err)
		}
	}
	for range 2 {
		if err := h.Provider.Users.DeleteUser(call(t), id); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	size := h.Provider.Users.MaxUserPage()
	for page := 0; ; page++ {
		users, err := h.Provider.Users.ListUsers(call(t), page, size)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(users, func(u providers.User) bool { return u.ID == id }); i >= 0 {
			if !users[i].Deleted {
				t.Error("a deleted user is listed as if it were there")
			}
			return
		}
		if len(users) < size {
			return
		}
	}
}

func testPartnerBanks(t *testing.T, h Harness) {
	if h.Provider.PartnerBanks == nil {
		unsupported(t, h.Provider, "CreatePartnerBank", "GetPartnerBank", "ListPartnerBanks", "UpdatePartnerBank")
		return
	}
	bank, err := h.Provider.PartnerBanks.CreatePartnerBank(call(t), providers.PartnerBank{DisplayName: "Kranich", Broker: true})
	if err != nil || bank.ID == "" {
		t.Fatalf("%+v, %v", bank, err)
	}
	bank.DisplayName, bank.Broker = "Reiher", false
	if changed, err := h.Provider.PartnerBanks.UpdatePartnerBank(call(t), *bank); err != nil || *changed != *bank {
		t.Fatalf("%+v, %v; want %+v", changed, err, bank)
	}
	for page := 1; ; page++ {
		banks, err := h.Provider.PartnerBanks.ListPartnerBanks(call(t), page, 10)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(banks, *bank) {
			return
		}
		if len(banks) < 10 {
			t.Fatal("the partner bank is not listed")
		}
	}
}

func testConnections(t *testing.T, h Harness) {
	if h.Provider.Connections == nil {
		unsupported(t, h.Provider, "SyncConnection", "DeleteConnection", "CreateManagementSession")
		return
	}
	ref := h.approved(t)
	id := h.state(t, ref).Connections[0].ID
	link, err := h.Provider.Connections.SyncConnection(call(t), ref, id, flow)
	if err != nil || link != nil {
		t.Errorf("an active connection: link %v, %v; want it done", link, err)
	}
	if link, err = h.Provider.Connections.ManagementSession(call(t), ref, flow); err != nil {
		t.Fatal(err)
	}
	wantLink(t, link)
	if h.Expire != nil {
		h.Expire(t, ref)
		if got := follow(h.state(t, ref)).Status; got != consentv1.Consent_AWAITING_REAUTHORIZATION {
			t.Errorf("after the authentication ran out the consent is %s", got)
		}
		if link, err = h.Provider.Connections.SyncConnection(call(t), ref, id, flow); err != nil {
			t.Fatal(err)
		}
		wantLink(t, link)
	}
	for range 2 {
		if err := h.Provider.Connections.DeleteConnection(call(t), ref, id); err != nil {
			t.Fatal(err)
		}
	}
	if left := h.state(t, ref).Connections; slices.ContainsFunc(left, func(c providers.ConnectionState) bool { return c.ID == id }) {
		t.Error("the connection is still there")
	}
}

func testShipments(t *testing.T, h Harness) {
	if h.Provider.Shipments == nil {
		unsupported(t, h.Provider, "CreateShipment")
		return
	}
	for _, channel := range []documentsv1.Shipment_Channel{documentsv1.Shipment_FAX, documentsv1.Shipment_LETTER} {
		shipment := providers.Shipment{ID: uuid.NewString(), CallbackURL: h.CallbackURL, Shipment: &documentsv1.Shipment{
			Channel: channel, Recipient: "Torben Mais", Subject: "Your loan", Pdf: []byte("%PDF-1.4"),
			Address: &documentsv1.Shipment_Address{Street: "Universitätsplatz", HouseNumber: "12", Postcode: "34127", City: "Kassel", CountryCode: "DE"},
		}}
		if err := h.Provider.Shipments.SendShipment(call(t), shipment); err != nil {
			t.Fatalf("%s: %v", channel, err)
		}
	}
}
