package chaos

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
)

var _ = providers.Add(finoos.ID, provider{
	operations: []string{"create_user", "connect", "get_logins", "synchronization_status"},
	reads: func(w *world, consent string) map[string]func(context.Context) error {
		return map[string]func(context.Context) error{"ListSecurities": func(ctx context.Context) error {
			_, err := w.Banking.ListSecurities(ctx, &bankingv1.ListSecuritiesRequest{Parent: consent + "/accounts/-"})
			return err
		}}
	},
	becomes: func(rpc string, status int) (reason string, differs bool) {
		if rpc == "CreateConsent" && status >= http.StatusInternalServerError {
			return "OUTCOME_UNKNOWN", true // it cannot be asked again with the same key
		}
		return "", false
	},
	polls:         true,
	approvesAlone: true,
	write:         keepSending,
	effects: func(w *world) map[string]int {
		sent := map[string]int{}
		for _, shipment := range sandboxes.As[*finoos.Server](w.Running, finoos.ID).Shipments() {
			sent[shipment.Recipient]++
		}
		return sent
	},
})

// keepSending sends faxes.
func keepSending(m *mix) {
	for m.running.Err() == nil {
		request := &documentsv1.CreateShipmentRequest{RequestId: uuid.NewString(), Shipment: &documentsv1.Shipment{
			Channel: documentsv1.Channel_FAX, Subject: "Contract", Pdf: []byte("%PDF-1.7\n%%EOF\n"),
			Address: &documentsv1.Shipment_Address{
				Street:      optional.Of("Hafenstraße"),
				HouseNumber: optional.Of("7"),
				Postcode:    optional.Of("20095"),
				City:        "Hamburg",
				CountryCode: "DE",
			},
		}}
		request.Shipment.Recipient = request.GetRequestId() // by which the provider's effects are counted
		r, took, err := m.measure(finoos.ID, func() error {
			return persistently(func(ctx context.Context) error {
				_, err := m.Documents.CreateShipment(ctx, request)
				return err
			})
		})
		r.writes.add(took, err)
		m.rest(300 * time.Millisecond)
	}
}
