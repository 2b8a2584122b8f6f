package finoos

import (
	"context"

	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	"kontor.dev/kontor/internal/providers"
)

// SendShipment hands a fax or letter to finoOS, which reports delivery to the callback address later.
func (a *adapter) SendShipment(ctx context.Context, shipment providers.Shipment) error {
	r := request{Body: shipmentBody(shipment)}
	switch shipment.GetChannel() {
	case documentsv1.Channel_FAX:
		r.Operation = opSendFax
	case documentsv1.Channel_LETTER:
		r.Operation = opSendLetter
	default:
		return a.invalidField(opSendLetter, "shipment.channel")
	}
	return a.do(ctx, r, nil)
}
