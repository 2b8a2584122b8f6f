package e2e

import (
	"net/http"
	"net/url"
	"testing"
)

// visit is a customer on a provider's pages, by the forms behind the buttons.
type visit struct {
	t    *testing.T
	link string
}

func (v *visit) open() {
	v.t.Helper()
	resp, err := httpClient.Get(v.link)
	if err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		v.t.Fatalf("the link answers %d", resp.StatusCode)
	}
}

// submit submits a form and gives where it leads to.
func (v *visit) submit(page string, form url.Values) string {
	v.t.Helper()
	resp, err := httpClient.PostForm(v.link+page, form)
	if err != nil {
		v.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther {
		v.t.Fatalf("%s answers %d", page, resp.StatusCode)
	}
	return resp.Header.Get("Location")
}
