package providertest

import (
	"slices"

	"github.com/google/uuid"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

func testUsers(s *suite) {
	users := s.provider.Users
	if users == nil {
		return
	}
	id := s.user()
	for range 2 { // the second finds it done, which is no error
		if err := users.AddProduct(s.ctx(), id, customerv1.Product_COMPANY_LOGOS); err != nil {
			s.Fatalf("add a product: %v", s.hear(err))
		}
	}
	for range 2 {
		if err := users.RemoveProduct(s.ctx(), id, customerv1.Product_COMPANY_LOGOS); err != nil {
			s.Fatalf("remove a product: %v", s.hear(err))
		}
	}
	for range 2 {
		if err := users.DeleteUser(s.ctx(), id); err != nil {
			s.Fatalf("delete: %v", s.hear(err))
		}
	}
	size := users.MaxUserPage()
	for page := 0; ; page++ {
		listed, err := users.ListUsers(s.ctx(), page, size)
		if err != nil {
			s.Fatal(s.hear(err))
		}
		if i := slices.IndexFunc(listed, func(u providers.User) bool { return u.ID == id }); i >= 0 {
			if !listed[i].Deleted {
				s.Error("a deleted user is listed as if it were there")
			}
			return
		}
		if len(listed) < size {
			return
		}
	}
}

func testPartnerBanks(s *suite) {
	banks := s.provider.PartnerBanks
	if banks == nil {
		return
	}
	bank, err := banks.CreatePartnerBank(s.ctx(), providers.PartnerBank{DisplayName: "Kranich", Broker: true})
	if err != nil || bank.ID == "" {
		s.Fatalf("%+v, %v", bank, s.hear(err))
	}
	bank.DisplayName, bank.Broker = "Reiher", false
	if changed, err := banks.UpdatePartnerBank(s.ctx(), *bank); err != nil || *changed != *bank {
		s.Fatalf("%+v, %v; want %+v", changed, s.hear(err), bank)
	}
	for page := 1; ; page++ {
		listed, err := banks.ListPartnerBanks(s.ctx(), page, 10)
		if err != nil {
			s.Fatal(s.hear(err))
		}
		if slices.Contains(listed, *bank) {
			return
		}
		if len(listed) < 10 {
			s.Fatal("the partner bank is not listed")
		}
	}
}

func testConnections(s *suite) {
	connections := s.provider.Connections
	if connections == nil {
		return
	}
	ref := s.approved()
	id := s.state(ref).Connections[0].ID
	link, err := connections.SyncConnection(s.ctx(), ref, id, flow)
	if err != nil || link != nil {
		s.Errorf("an active connection: link %v, %v; want it done", link, s.hear(err))
	}
	if link, err = connections.ManagementSession(s.ctx(), ref, flow); err != nil {
		s.Fatal(s.hear(err))
	}
	s.wantLink(link)
	for range 2 {
		if err := connections.DeleteConnection(s.ctx(), ref, id); err != nil {
			s.Fatal(s.hear(err))
		}
	}
	left := s.state(ref).Connections
	if slices.ContainsFunc(left, func(c providers.ConnectionState) bool { return c.ID == id }) {
		s.Error("the connection is still there")
	}
}

// shipment describes a shipment to send.
func (s *suite) shipment(channel documentsv1.Channel_Value) providers.Shipment {
	return providers.Shipment{ID: uuid.NewString(), CallbackURL: s.h.CallbackURL, Shipment: &documentsv1.Shipment{
		Channel: channel, Recipient: "Torben Mais", Subject: "Your loan", Pdf: []byte("%PDF-1.4"),
		Address: &documentsv1.Shipment_Address{
			Street:      optional.Of("Universitätsplatz"),
			HouseNumber: optional.Of("12"),
			Postcode:    optional.Of("34127"),
			City:        "Kassel",
			CountryCode: "DE",
		},
	}}
}

func testShipments(s *suite) {
	if s.provider.Shipments == nil {
		return
	}
	for _, channel := range []documentsv1.Channel_Value{documentsv1.Channel_FAX, documentsv1.Channel_LETTER} {
		if err := s.provider.Shipments.SendShipment(s.ctx(), s.shipment(channel)); err != nil {
			s.Fatalf("%s: %v", channel, s.hear(err))
		}
	}
	// A report is about the shipment that its address stands for, or about nothing.
	if _, err := s.provider.Callbacks.Report(s.ctx(), uuid.NewString(), nil, nil); err == nil {
		s.Error("a report without a word is taken")
	}
}
