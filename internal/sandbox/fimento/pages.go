package fimento

import (
	"embed"
	"net/http"

	"kontor.dev/kontor/internal/sandbox"
)

//go:embed pages/*.html
var pageFiles embed.FS

var pages = sandbox.MustPages("Fimento", pageFiles)

// view is what a page shows.
type view struct {
	Link    string // the path of the consent link, which every form's action begins with
	Partner string // on whose behalf consent is asked
	Person  string
	Brokers []string
	Bank    sandbox.Bank   // the one chosen
	Banks   []sandbox.Bank // to choose from, or already added
	Alert   string
	Denied  bool
}

// page is an answer of the consent pages: a page or the next address.
type page struct {
	status   int
	name     string
	view     any
	location string
}

func show(name string, v view) page { return page{status: http.StatusOK, name: name, view: v} }

func goTo(location string) page { return page{location: location} }

func (a page) write(w http.ResponseWriter, r *http.Request) {
	if a.location != "" {
		http.Redirect(w, r, a.location, http.StatusSeeOther)
		return
	}
	pages.Render(w, a.status, a.name, a.view)
}

func (s *Server) pageRoutes() {
	s.page("GET /consent/{token}", s.openLink)
	s.page("GET /consent/{token}/bank", s.chooseBank)
	s.page("POST /consent/{token}/bank", s.bankChosen)
	s.page("GET /consent/{token}/authenticate", s.showAuthenticate)
	s.page("POST /consent/{token}/authenticate", s.authenticated)
	s.page("GET /consent/{token}/failed", s.showFailed)
	s.page("GET /consent/{token}/decision", s.showDecision)
	s.page("POST /consent/{token}/decision", s.decided)
	s.page("GET /consent/{token}/done", s.showDone)
	s.page("POST /consent/{token}/leave", s.leave)
	s.core.Handle(s.mux, sandbox.OperationPage, "GET /visualisation/{token}", s.showVisualisation)
}

// page serves a page of a consent link that is still valid; h runs under the server's lock.
func (s *Server) page(pattern string, h func(r *http.Request, p *process, v view) page) {
	s.core.Handle(s.mux, sandbox.OperationPage, pattern, func(w http.ResponseWriter, r *http.Request) {
		answer := func() page {
			s.mu.Lock()
			defer s.mu.Unlock()
			l, ok := s.links[r.PathValue("token")]
			if !ok || !s.core.Clock.Now().Before(l.expires) {
				return page{status: http.StatusGone, name: "gone", view: view{}}
			}
			p := l.process
			return h(r, p, view{
				Link: "/consent/" + p.flow.token, Partner: s.partnerBank(p.partnerBank).Name, Person: s.person(p).Name,
				Brokers: p.brokerBanks,
			})
		}()
		answer.write(w, r)
	})
}

// openLink is where a customer comes in. Each opening is a status, until the customer has decided.
func (s *Server) openLink(_ *http.Request, p *process, v view) page {
	if p.flow.decision != "" {
		return goTo(v.Link + "/done")
	}
	s.record(p, codeLinkOpened, "")
	v.Banks = s.core.Population.Banks(p.market)
	return show("choose_bank", v)
}

// chooseBank is where a customer comes to again.
func (s *Server) chooseBank(_ *http.Request, p *process, v view) page {
	if p.flow.decision != "" {
		return goTo(v.Link + "/done")
	}
	v.Banks = s.core.Population.Banks(p.market)
	return show("choose_bank", v)
}

func (s *Server) bankChosen(r *http.Request, p *process, v view) page {
	if p.flow.decision != "" {
		return goTo(v.Link + "/done")
	}
	for _, bank := range s.core.Population.Banks(p.market) {
		if bank.ID == r.PostFormValue("bank") {
			s.choose(p, bank)
			return goTo(v.Link + "/authenticate")
		}
	}
	v.Alert, v.Banks = "Please choose one of the banks.", s.core.Population.Banks(p.market)
	return page{status: http.StatusBadRequest, name: "choose_bank", view: v}
}

func (s *Server) showAuthenticate(_ *http.Request, p *process, v view) page {
	if p.flow.selected == nil {
		return goTo(v.Link + "/bank")
	}
	v.Bank = p.flow.selected.bank
	return show("authenticate", v)
}

func (s *Server) authenticated(r *http.Request, p *process, v view) page {
	if p.flow.selected == nil || p.flow.decision != "" {
		return goTo(v.Link + "/bank")
	}
	switch r.PostFormValue("outcome") {
	case "authenticate":
		s.authenticate(p)
		return goTo(v.Link + "/decision")
	case "fail":
		s.fail(p)
		return goTo(v.Link + "/failed")
	}
	v.Bank, v.Alert = p.flow.selected.bank, "Please use one of the buttons."
	return page{status: http.StatusBadRequest, name: "authenticate", view: v}
}

func (s *Server) showFailed(_ *http.Request, _ *process, v view) page {
	v.Alert = authFailure + "."
	return show("failed", v)
}

func (s *Server) showDecision(_ *http.Request, p *process, v view) page {
	if p.flow.decision != "" || !p.decidable() {
		return goTo(v.Link + "/bank")
	}
	for _, b := range p.of(p.flow) {
		if b.authorized() {
			v.Banks = append(v.Banks, b.bank)
		}
	}
	return show("decision", v)
}

// decided takes the customer's decision. The consent can be withdrawn later, as long as the link is valid.
func (s *Server) decided(r *http.Request, p *process, v view) page {
	f := p.flow
	switch decision := r.PostFormValue("decision"); {
	case decision == "approve" && f.decision == "" && p.decidable():
		s.decide(p, approved)
	case decision == "deny" && f.decision != revoked && (f.decision == approved || p.decidable()):
		s.decide(p, revoked)
	default:
		return goTo(v.Link + "/decision")
	}
	return p.leave(v)
}

// leave sends the customer back to where they came from.
func (p *process) leave(v view) page {
	if isWebURL(p.redirectURL) {
		return goTo(p.redirectURL)
	}
	return goTo(v.Link + "/done")
}

// leave is for a customer who does not go on; nothing is recorded.
func (s *Server) leave(_ *http.Request, p *process, v view) page { return p.leave(v) }

func (s *Server) showDone(_ *http.Request, p *process, v view) page {
	switch p.flow.decision {
	case "":
		return show("left", v)
	case revoked:
		v.Denied = true
	}
	return show("done", v)
}

// chart is what a visualisation shows.
type chart struct {
	Person   string
	Accounts []*account
	Lines    []chartLine
}

type chartLine struct{ Label, Amount string }

func (s *Server) showVisualisation(w http.ResponseWriter, r *http.Request) {
	answer := func() page {
		s.mu.Lock()
		defer s.mu.Unlock()
		shown, ok := s.visualisations[r.PathValue("token")]
		p := s.processes[shown.process]
		if !ok || p == nil || !s.core.Clock.Now().Before(shown.expires) {
			return page{status: http.StatusGone, name: "gone", view: view{}}
		}
		c := chart{Person: s.person(p).Name, Accounts: s.collected(p)}
		by := summarise(movements(c.Accounts))
		for _, group := range []map[string]*sum{by.income, by.expense} {
			for _, label := range largest(group) {
				c.Lines = append(c.Lines, chartLine{label, group[label].amount.String()})
			}
		}
		return page{status: http.StatusOK, name: "visualisation", view: c}
	}()
	answer.write(w, r)
}

// BankName is for the page of a visualisation.
func (a *account) BankName() string { return a.bank.Name }
