package fimento

import (
	"context"

	"kontor.dev/kontor/internal/providers"
)

// VisualizationLink asks for a link each time: it is short-lived, and for how long is not documented.
func (a *adapter) VisualizationLink(ctx context.Context, ref providers.ConsentRef, referenceID string) (string, error) {
	r, err := a.ofConsent(opVisualisationLink, ref)
	if err != nil {
		return "", err
	}
	if err := a.addReference(r, referenceID); err != nil {
		return "", err
	}
	var link wireVisualisation
	if err := a.do(ctx, r, &link); err != nil {
		return "", err
	}
	return string(link.URL), nil
}

type wireVisualisation struct {
	URL text `json:"visualisationUrl"`
}

func (v *wireVisualisation) check() error {
	if !isWebAddress(string(v.URL)) {
		return &providers.ShapeError{Field: "visualisationUrl", Want: "must be the address of a page"}
	}
	return nil
}

func (v *wireVisualisation) page() (field, address string) { return "visualisationUrl", string(v.URL) }
