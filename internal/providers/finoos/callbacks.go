package finoos

import (
	"context"
	"net/url"
	"strings"

	"kontor.dev/kontor/internal/providers"
)

// redirect reads the query with which finoOS's pages return the customer: `userID` is added to it. Anybody could
// write it there, so it proves nothing, but another user's is not let pass. Whether it always comes is not
// documented: without it, the token in the address is the proof.
func redirect(
	_ context.Context, ref providers.ConsentRef, _ providers.Outcome, query url.Values,
) (providers.Return, error) {
	if user, ok := param(query, "userID"); !ok || user != "" && user != ref.ID {
		return providers.Return{}, providers.ErrForeign
	}
	return providers.Return{}, nil
}

// report reads what became of a fax or letter. It stands in the query, without a signature.
func report(_ context.Context, shipmentID string, query url.Values, _ []byte) (delivered bool, err error) {
	id, idOK := param(query, "requestid")
	success, successOK := param(query, "success")
	if !idOK || !successOK || id != shipmentID {
		return false, providers.ErrForeign
	}
	switch strings.ToLower(success) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, providers.ErrForeign
}

// param finds a query parameter whatever its letters' case: finoOS spells ids in several ways. It is not ok when it
// comes with several values.
func param(query url.Values, name string) (value string, ok bool) {
	for key, values := range query {
		if !strings.EqualFold(key, name) {
			continue
		}
		for _, other := range values {
			if value != "" && other != value {
				return "", false
			}
			value = other
		}
	}
	return value, true
}
