package replicatest

import (
	"context"

	"google.golang.org/protobuf/proto"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

var _ = providers.Add(finoos.ID, provider{
	// Each consent is of a customer of its own, and each such customer is a user.
	made:  func(w *World) int { return len(sandboxes.As[*finoos.Server](w.Running, finoos.ID).Users()) },
	kinds: []*Kind{fax},
	effects: func(w *World) map[string]int {
		accepted := map[string]int{}
		for _, shipment := range sandboxes.As[*finoos.Server](w.Running, finoos.ID).Shipments() {
			accepted[shipment.Subject]++
		}
		return accepted
	},
})

// fax sends a document, of which finoOS cannot be asked what became of it.
var fax = &Kind{Name: "CreateShipment", send: func(
	ctx context.Context, c *worldtest.Stubs, e *Entry,
) (proto.Message, error) {
	return answer(c.Documents.CreateShipment(ctx, &documentsv1.CreateShipmentRequest{
		RequestId: e.Key, Shipment: &documentsv1.Shipment{
			Channel: documentsv1.Channel_FAX, Recipient: "Torben Mais", Subject: e.Key, Pdf: []byte("%PDF-1.4\n"),
			Address: &documentsv1.Shipment_Address{City: "Kassel", CountryCode: "DE"},
		},
	}))
}}
