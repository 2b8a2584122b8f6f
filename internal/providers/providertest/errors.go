package providertest

import (
	"context"
	"maps"
	"slices"
	"testing"

	"kontor.dev/kontor/internal/providers"
)

// kinds is what every adapter makes of a status.
var kinds = map[int]providers.ErrorKind{
	400: providers.KindRejected, 403: providers.KindNotEnabled, 404: providers.KindNotFound, 409: providers.KindConflict,
	429: providers.KindRateLimited, 500: providers.KindUnavailable, 503: providers.KindUnavailable,
}

// reading is the operation by which the provider reads accounts.
func (h Harness) reading() string {
	for _, op := range h.Provider.Operations {
		if op.Name == "insights" || op.Name == "get_logins" {
			return op.Name
		}
	}
	panic("providertest: the adapter reads accounts by an operation that the suite does not know")
}

func testErrors(t *testing.T, h Harness) {
	ref := h.approved(t)
	operation := h.reading()
	for _, status := range slices.Sorted(maps.Keys(kinds)) {
		undo := h.Fail(t, operation, status)
		_, err := h.Provider.Accounts.ListAccounts(call(t), ref)
		undo()
		e := failure(t, err)
		if e.Kind != kinds[status] || e.Status != status || e.Provider != h.Provider.ID || e.Operation != operation || e.MayHaveHappened {
			t.Errorf("%d is %+v", status, e)
		}
	}
	undo := h.Garble(t, operation)
	_, err := h.Provider.Accounts.ListAccounts(call(t), ref)
	undo()
	if kind := failure(t, err).Kind; kind != providers.KindInvalidResponse {
		t.Errorf("a body that is no JSON is %s", kind)
	}
	if _, err := h.Provider.Accounts.ListAccounts(call(t), ref); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

// testPSUIP: what needs the end user's address is refused without one, before anything is sent.
func testPSUIP(t *testing.T, h Harness) {
	if h.Provider.Connections == nil {
		return
	}
	ref := h.approved(t)
	before := h.Calls("")
	ctx := providers.WithCall(call(t), providers.Call{})
	_, err := h.Provider.Connections.ManagementSession(ctx, ref, flow)
	if kind := failure(t, err).Kind; kind != providers.KindPSUIPRequired {
		t.Errorf("without an address: %s", kind)
	}
	if made := h.Calls("") - before; made != 0 {
		t.Errorf("%d calls were made", made)
	}
}

func testContext(t *testing.T, h Harness) {
	ref := h.approved(t)
	ctx, cancel := context.WithCancel(call(t))
	cancel()
	_, err := h.Provider.Accounts.ListAccounts(ctx, ref)
	if kind := failure(t, err).Kind; kind != providers.KindCanceled {
		t.Errorf("a caller that left: %s", kind)
	}
}
