package crash

import (
	"testing"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
)

// orphansAreListed demands that ListProviderUsers shows every user that finoOS has, each with the customer that it belongs to, who exists, or
// without one. It counts those without.
func orphansAreListed(t *testing.T, w *world) (orphans int) {
	t.Helper()
	listed := map[string]*providerv1.ProviderUser{}
	for token := ""; ; {
		page := must(w.client.providers.ListProviderUsers(w.context(), &providerv1.ListProviderUsersRequest{
			Parent: "providers/finoos", PageSize: 1000, PageToken: token,
		}))(t)
		for _, user := range page.GetUsers() {
			listed[user.GetName()] = user
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	for _, user := range w.FinoOS.Users() {
		shown := listed["providers/finoos/users/"+user.ID]
		switch {
		case shown == nil:
			t.Errorf("finoOS has a user that is not listed (deleted: %t)", user.Deleted)
		case shown.GetCustomer() != "":
			must(w.client.customers.GetCustomer(w.context(), &customerv1.GetCustomerRequest{Name: shown.GetCustomer()}))(t)
		case !user.Deleted:
			orphans++
		}
	}
	return orphans
}
