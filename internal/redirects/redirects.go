// Package redirects decides what a consent may send the customer back to: pure rules, for the configuration that names
// the patterns and for the service that compares addresses with them.
package redirects

import (
	"errors"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

var errPattern = errors.New("must be an http(s) address that all browsers and servers read alike, without " +
	"credentials, query or path parameters, whose path may end in /*")

// List is what a tenant's consents may send the customer back to. Patterns and addresses are compared
// after parsing, part by part: scheme, host and port must be equal; a path that ends in /* stands for itself
// and everything below it, any other path for itself alone. Queries are free. Anything that two parsers might
// read differently is refused.
type List []*url.URL

// NewList reads patterns, each an http(s) address without a query, whose path may end in /*. The error quotes none.
func NewList(patterns []string) (List, error) {
	list := make(List, 0, len(patterns))
	for _, pattern := range patterns {
		u, ok := parseRedirect(pattern)
		if !ok || u.RawQuery != "" ||
			strings.Contains(strings.TrimSuffix(u.Path, "/*"), "*") || strings.Contains(u.Host, "*") {
			return nil, errPattern
		}
		list = append(list, u)
	}
	return list, nil
}

// Allows tells whether an address is on the list.
func (l List) Allows(address string) bool {
	u, ok := parseRedirect(address)
	if !ok {
		return false
	}
	for _, pattern := range l {
		if u.Scheme != pattern.Scheme || u.Host != pattern.Host {
			continue
		}
		if below, wild := strings.CutSuffix(pattern.Path, "/*"); wild {
			if u.Path == below || strings.HasPrefix(u.Path, below+"/") {
				return true
			}
		} else if u.Path == pattern.Path || u.Path == "" && pattern.Path == "/" || u.Path == "/" && pattern.Path == "" {
			return true
		}
	}
	return false
}

// parseRedirect parses an address as strictly as its use as a browser's target demands.
func parseRedirect(address string) (*url.URL, bool) {
	for _, r := range address {
		// Browsers drop tabs and line feeds and read a backslash as a slash; anything beyond ASCII belongs
		// percent-encoded or in punycode.
		if r <= ' ' || r >= 0x7f || r == '\\' {
			return nil, false
		}
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
		u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, false
	}
	if strings.Contains(address, "#") || strings.HasSuffix(u.Hostname(), ".") || strings.HasSuffix(u.Host, ":") {
		return nil, false
	}
	if u.Path != "" && path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") && u.Path != "/" {
		return nil, false // dot segments and doubled slashes
	}
	escaped := strings.ToLower(u.EscapedPath())
	if strings.ContainsAny(u.Path, "\\") || strings.Contains(escaped, "%2f") || strings.Contains(escaped, "%2e") {
		return nil, false
	}
	if strings.Contains(u.Path, ";") {
		return nil, false // some servers take what follows for parameters, and then read /..;/ as /../
	}
	u.Host = strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		u.Host = strings.TrimSuffix(u.Host, ":443")
	case "http":
		u.Host = strings.TrimSuffix(u.Host, ":80")
	}
	if !plainHost(u.Hostname()) {
		return nil, false
	}
	return u, true
}

// plainHost refuses hosts that some parsers take for addresses in disguise, such as 2130706433 and 0x7f.1.
func plainHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" || last[0] >= '0' && last[0] <= '9' {
		return false
	}
	for _, r := range host {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_' {
			return false
		}
	}
	return true
}
