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

type wireShipment struct {
	ProcessID   string      `json:"processID"`
	CallbackURL string      `json:"callbackURL"`
	Recipient   string      `json:"recipient"`
	Subject     string      `json:"subject"`
	Address     wireAddress `json:"address"`
	PDFContent  []byte      `json:"pdfContent"` // encoding/json writes base64
}

type wireAddress struct {
	Street               string `json:"street"`
	HouseNumber          string `json:"houseNumber"`
	Postcode             string `json:"postcode"`
	City                 string `json:"city"`
	CountryCode          string `json:"countryCode"`
	StreetAdditionalInfo string `json:"streetAdditionalInfo,omitempty"`
}

func shipmentBody(s providers.Shipment) wireShipment {
	return wireShipment{
		ProcessID:   s.ID,
		CallbackURL: s.CallbackURL,
		Recipient:   s.GetRecipient(),
		Subject:     s.GetSubject(),
		Address:     addressBody(s.GetAddress()),
		PDFContent:  s.GetPdf(),
	}
}

func addressBody(a *documentsv1.Shipment_Address) wireAddress {
	return wireAddress{
		Street:               a.GetStreet(),
		HouseNumber:          a.GetHouseNumber(),
		Postcode:             a.GetPostcode(),
		City:                 a.GetCity(),
		CountryCode:          a.GetCountryCode(),
		StreetAdditionalInfo: a.GetStreetAdditionalInfo(),
	}
}
