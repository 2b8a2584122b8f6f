package sqlite

import (
	"strconv"
	"strings"

	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/store/columns"
)

// Consents reads a page by an index that has all that is asked for, in order, so that it costs as much as the page,
// however many others there are; also when none is found.
func (r *reader) Consents(filter store.ConsentFilter, page store.Page) ([]*store.Consent, error) {
	if len(filter.Reference) == 0 && filter.Provider == "" && len(filter.Statuses) == 0 {
		return r.consentsInOrder(filter.CustomerID, page)
	}
	return r.consentsByStatus(filter, page)
}

// consentsInOrder lists all, or those of a customer.
func (r *reader) consentsInOrder(customerID string, page store.Page) ([]*store.Consent, error) {
	of, args := "", []any{r.tenant, page.After, max(page.Size, 0)}
	if customerID != "" {
		of, args = " AND customer_id = ?4", append(args, customerID)
	}
	return all(r, r.Opener.Consent,
		selectConsents+"WHERE tenant = ?1 AND deleted = 0 AND id > ?2"+of+" ORDER BY id LIMIT ?3", args...)
}

// consentsByStatus merges what there is in each status, each in order of ids: of each it reads what the page takes.
func (r *reader) consentsByStatus(filter store.ConsentFilter, page store.Page) ([]*store.Consent, error) {
	args, of := []any{r.tenant, page.After, max(page.Size, 0)}, ""
	also := func(condition string, arg any) {
		args = append(args, arg)
		of += " AND " + condition + " = ?" + strconv.Itoa(len(args))
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
	statuses := columns.Statuses(filter)
	parts := make([]string, len(statuses))
	for i, status := range statuses {
		args = append(args, status)
		parts[i] = "SELECT id FROM consents WHERE tenant = ?1 AND deleted = 0 AND id > ?2" + of + " AND status = ?" +
			strconv.Itoa(len(args))
	}
	return all(r, r.Opener.Consent, selectConsents+"WHERE tenant = ?1 AND id IN (SELECT id FROM ("+
		strings.Join(parts, " UNION ALL ")+" ORDER BY id LIMIT ?3)) ORDER BY id", args...)
}
