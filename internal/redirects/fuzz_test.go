package redirects

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzRedirect: an address that the list allows is read the same by a parser that is not ours to choose: its
// host is the list's, and it has nothing that browsers drop or read differently.
func FuzzRedirect(f *testing.F) {
	list, err := NewList([]string{"https://app.example.com/back/*"})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"https://app.example.com/back/1?x=y", "https://app.example.com@evil.example/back/1",
		"https://app.example.com\\@evil.example/back/",
		"https://app.example.com/back/../../x", "https://app.example.com/back/%2e%2e/x", "//app.example.com/back/1",
		"https://app.example.com:443/back/1", "https:app.example.com/back/", "https://app.example.com/back/..;/x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if !list.Allows(address) {
			return
		}
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || strings.ToLower(u.Hostname()) != "app.example.com" || u.Port() != "" &&
			u.Port() != "443" || u.User != nil || strings.ContainsAny(address, "\\\t\r\n ") {
			t.Errorf("%q is allowed", address)
		}
		if strings.Contains(u.Path, ";") {
			t.Errorf("%q has parameters in its path", address)
		}
		if cleaned := u.JoinPath(); !strings.HasPrefix(cleaned.Path, "/back") {
			t.Errorf("%q leads to %s", address, cleaned.Path)
		}
	})
}
