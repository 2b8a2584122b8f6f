package fimento

import (
	"net/http"
	"slices"
	"strconv"
)

type partnerBank struct {
	ID       string `json:"_id"`
	Name     string `json:"name"`
	IsBroker bool   `json:"isBroker"`
	LogoURL  string `json:"logoUrl,omitempty"`
}

// readPartnerBank reads what create and update share. A logoUrl needs no scheme: the documentation's sample has none.
func readPartnerBank(r *http.Request) (bank partnerBank, faults []string) {
	b := readBody(r)
	bank = partnerBank{Name: b.required("name"), IsBroker: b.flag("isBroker"), LogoURL: b.text("logoUrl")}
	return bank, b.done()
}

func (s *Server) createPartnerBank(r *http.Request) reply {
	bank, faults := readPartnerBank(r)
	if faults != nil {
		return invalid(faults...)
	}
	bank.ID = s.core.Rand.Hex(24)
	s.partnerBanks = append(s.partnerBanks, bank)
	return reply{http.StatusCreated, bank}
}

// updatePartnerBank replaces the whole partner bank: what the body leaves out is gone.
func (s *Server) updatePartnerBank(r *http.Request) reply {
	bank, faults := readPartnerBank(r)
	if faults != nil {
		return invalid(faults...)
	}
	existing := s.partnerBank(r.PathValue("id"))
	if existing == nil {
		return refusal(http.StatusNotFound, "Partner bank not found")
	}
	bank.ID = existing.ID
	*existing = bank
	return reply{http.StatusOK, bank}
}

func (s *Server) listPartnerBanks(r *http.Request) reply {
	page, ok1 := positive(r, "page", 1)
	limit, ok2 := positive(r, "limit", 10)
	if !ok1 || !ok2 {
		return invalid("page and limit must be numbers not less than 1")
	}
	from, to := window(len(s.partnerBanks), (page-1)*limit, limit)
	return reply{http.StatusOK, append([]partnerBank{}, s.partnerBanks[from:to]...)}
}

// partnerBank finds one, or nil.
func (s *Server) partnerBank(id string) *partnerBank {
	i := slices.IndexFunc(s.partnerBanks, func(b partnerBank) bool { return b.ID == id })
	if i < 0 {
		return nil
	}
	return &s.partnerBanks[i]
}

// positive reads a whole number of at least 1 and at most a million from the query; fallback stands for a missing
// one, and a fallback of 0 makes it required.
func positive(r *http.Request, name string, fallback int) (int, bool) {
	if !r.URL.Query().Has(name) {
		return fallback, fallback > 0
	}
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	return n, err == nil && n >= 1 && n <= 1_000_000
}

// window bounds a page to what there is.
func window(total, offset, size int) (from, to int) {
	from = min(max(offset, 0), total)
	return from, min(from+size, total)
}
