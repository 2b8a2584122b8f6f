package postgres

import (
	"strconv"
	"strings"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// Consents reads a page by an index that has all that is asked for, in order, so that it costs as much as the page,
// however many others there are; also when none is found.
func (r *reader) Consents(filter store.ConsentFilter, page store.Page) ([]*store.Consent, error) {
	if filter.CustomerID != "" {
		// Whoever may add a consent, or not, by which the customer has, waits for others who do so.
		if err := r.lockCustomer("id = $2", filter.CustomerID); err != nil {
			return nil, err
		}
	}
	if len(filter.Reference) == 0 && filter.Provider == "" && len(filter.Statuses) == 0 {
		return r.consentsInOrder(filter.CustomerID, page)
	}
	return r.consentsByStatus(filter, page)
}

// consentsInOrder lists all, or those of a customer.
func (r *reader) consentsInOrder(customerID string, page store.Page) ([]*store.Consent, error) {
	of, args := "", []any{r.tenant, page.After, max(page.Size, 0)}
	if customerID != "" {
		of, args = " AND customer_id = $4", append(args, customerID)
	}
	return all(r, r.Opener.Consent,
		selectConsents+"WHERE tenant = $1 AND deleted = 0 AND id > $2"+of+" ORDER BY id LIMIT $3", args...)
}

// consentsByStatus merges what there is in each status, each in order of ids: of each it reads at most a page.
//
// A status stands in the statement rather than among its arguments, so that a plan for all arguments knows which
// statuses are rare: else the server may go through all consents of a customer for the few in a status.
func (r *reader) consentsByStatus(filter store.ConsentFilter, page store.Page) ([]*store.Consent, error) {
	args, of := []any{r.tenant, page.After, max(page.Size, 0)}, ""
	also := func(condition string, arg any) {
		args = append(args, arg)
		of += " AND " + condition + " = $" + strconv.Itoa(len(args))
	}
	if filter.Provider != "" {
		also("provider", filter.Provider)
	}
	if filter.CustomerID != "" {
		also("customer_id", filter.CustomerID)
	}
	if len(filter.Reference) > 0 {
		also("reference", columns.Lookup(filter.Reference))
	}
	const found = "WHERE tenant = $1 AND id IN (SELECT id FROM ("
	if len(filter.Statuses) == 0 {
		// One part for all statuses is planned in a third of the time. Those of a reference are found by its index,
		// whichever statuses are rare.
		args = append(args, columns.Statuses(filter))
		return all(r, r.Opener.Consent, selectConsents+found+"SELECT each.id FROM unnest($"+strconv.Itoa(len(args))+
			"::int[]) AS one (status), LATERAL (SELECT id FROM consents WHERE tenant = $1 AND deleted = 0 AND id > $2"+
			of+" AND status = one.status ORDER BY id LIMIT $3) each) found ORDER BY id LIMIT $3) ORDER BY id", args...)
	}
	statuses := columns.Statuses(filter)
	parts := make([]string, len(statuses))
	for i, status := range statuses {
		parts[i] = "(SELECT id FROM consents WHERE tenant = $1 AND deleted = 0 AND id > $2" + of + " AND status = " +
			strconv.Itoa(int(status)) + " ORDER BY id LIMIT $3)"
	}
	return all(r, r.Opener.Consent, selectConsents+found+
		strings.Join(parts, " UNION ALL ")+") found ORDER BY id LIMIT $3) ORDER BY id", args...)
}
