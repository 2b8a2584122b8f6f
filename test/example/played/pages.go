package played

import (
	"embed"
	"net/http"
	"strconv"

	"kontor.dev/kontor/internal/sandbox"
)

//go:embed pages/*.html
var pageFiles embed.FS

var pages = sandbox.MustPages("Skarvholm", pageFiles)

// pageRoutes serves the page on which the customer decides.
func (s *Server) pageRoutes() {
	s.core.Handle(s.mux, sandbox.OperationPage, "GET /page/{token}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if c := s.pages[r.PathValue("token")]; c != nil {
			pages.Render(w, http.StatusOK, "decision", c.person)
			return
		}
		pages.Render(w, http.StatusGone, "gone", nil)
	})
	s.core.Handle(s.mux, sandbox.OperationPage, "POST /page/{token}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := s.pages[r.PathValue("token")]
		if c == nil {
			pages.Render(w, http.StatusGone, "gone", nil)
			return
		}
		bank, err := strconv.Atoi(r.PostFormValue("bank"))
		if err != nil || bank < 0 || bank >= len(c.person.Logins) {
			pages.Render(w, http.StatusBadRequest, "decision", c.person)
			return
		}
		http.Redirect(w, r, s.decide(c, r.PostFormValue("decision"), bank), http.StatusSeeOther)
	})
}
