package origin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"
)

func proxies(networks ...string) (all Proxies) {
	for _, network := range networks {
		all = append(all, netip.MustParsePrefix(network))
	}
	return all
}

// TestForwarded is the corpus of what callers and proxies may send. Trusted are 10.0.0.0/8 and fd00::/8.
func TestForwarded(t *testing.T) {
	t.Parallel()
	trusted := proxies("10.0.0.0/8", "fd00::/8")
	const caller, proxy = "203.0.113.7:5000", "10.1.2.3:5000"
	for what, c := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"nobody told anything":                       {caller, nil, "203.0.113.7"},
		"a proxy told nothing":                       {proxy, nil, "10.1.2.3"},
		"a stranger claims an address":               {caller, []string{"10.9.9.9"}, "203.0.113.7"},
		"a stranger claims to be this machine":       {caller, []string{"127.0.0.1"}, "203.0.113.7"},
		"a stranger claims a whole way":              {caller, []string{"192.0.2.1, 10.0.0.1"}, "203.0.113.7"},
		"a proxy's caller":                           {proxy, []string{"192.0.2.1"}, "192.0.2.1"},
		"a caller who claims, through a proxy":       {proxy, []string{"127.0.0.1, 192.0.2.1"}, "192.0.2.1"},
		"a caller who claims a proxy":                {proxy, []string{"10.0.0.5,192.0.2.1"}, "192.0.2.1"},
		"a caller who claims in a header of its own": {proxy, []string{"198.51.100.1", "192.0.2.1"}, "192.0.2.1"},
		"a way through several proxies":              {proxy, []string{"192.0.2.1, 10.0.0.5, 10.0.0.6"}, "192.0.2.1"},
		"a way in several headers":                   {proxy, []string{"192.0.2.1", "10.0.0.5", "10.0.0.6"}, "192.0.2.1"},
		"a stranger between two proxies":             {proxy, []string{"192.0.2.1, 198.51.100.1, 10.0.0.6"}, "198.51.100.1"},
		"proxies all the way":                        {proxy, []string{"10.0.0.4, 10.0.0.5"}, "10.0.0.4"},
		"an IPv6 proxy":                              {"[fd00::1]:443", []string{"2001:db8::9"}, "2001:db8::9"},
		"an IPv4 proxy on an IPv6 socket":            {"[::ffff:10.1.2.3]:443", []string{"192.0.2.1"}, "192.0.2.1"},
		"a mapped proxy among the hops":              {proxy, []string{"192.0.2.1, ::ffff:10.0.0.5"}, "192.0.2.1"},
		"a mapped caller":                            {proxy, []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		"a mapped stranger who claims":               {"[::ffff:203.0.113.7]:1", []string{"10.0.0.1"}, "203.0.113.7"},
		"a hop with a port":                          {proxy, []string{"192.0.2.1:4711"}, "192.0.2.1"},
		"an IPv6 hop with a port":                    {proxy, []string{"[2001:db8::9]:4711"}, "2001:db8::9"},
		"an IPv6 hop in brackets":                    {proxy, []string{"[2001:db8::9]"}, "2001:db8::9"},
		"tabs and blanks":                            {proxy, []string{" 198.51.100.9 ,\t192.0.2.1\t"}, "192.0.2.1"},
		"a zone":                                     {"[fe80::1%eth0]:1", nil, "fe80::1"},
		"a zone that would hide a proxy":             {"[fd00::1%x]:1", []string{"192.0.2.1"}, "192.0.2.1"},
		// What a trusted proxy told and is no address: nobody knows, rather than what the caller wrote before it.
		"unknown":                  {proxy, []string{"192.0.2.1, unknown"}, "unknown"},
		"an obfuscated name":       {proxy, []string{"192.0.2.1, _hidden"}, "unknown"},
		"an empty hop":             {proxy, []string{"192.0.2.1,"}, "unknown"},
		"an empty header":          {proxy, []string{""}, "unknown"},
		"a name":                   {proxy, []string{"localhost"}, "unknown"},
		"a number":                 {proxy, []string{"2130706433"}, "unknown"},
		"octal":                    {proxy, []string{"192.0.2.010"}, "unknown"},
		"another separator":        {proxy, []string{"192.0.2.1; 10.0.0.1"}, "unknown"},
		"a Forwarded element":      {proxy, []string{"for=192.0.2.1"}, "unknown"},
		"a network":                {proxy, []string{"192.0.2.0/24"}, "unknown"},
		"a connection of no host":  {"@", []string{"192.0.2.1"}, "unknown"},
		"a connection of no place": {"", nil, "unknown"},
	} {
		if got := trusted.Of(c.remote, c.forwarded, nil).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", what, got, c.want)
		}
		if got := (Proxies)(nil).Of(c.remote, c.forwarded, nil); got != (Proxies)(nil).Of(c.remote, nil, nil) {
			t.Errorf("%s: without trusted proxies it is %s", what, got)
		}
	}
}

// TestLongWay: a header as long as headers may be costs one walk.
func TestLongWay(t *testing.T) {
	t.Parallel()
	way := strings.Repeat("10.0.0.1,", 7000) + "10.0.0.1"
	if got := proxies("10.0.0.0/8").Of("10.0.0.2:1", []string{"192.0.2.1," + way}, nil).String(); got != "192.0.2.1" {
		t.Errorf("got %s", got)
	}
}

// TestCertificate: only one that was verified counts.
func TestCertificate(t *testing.T) {
	t.Parallel()
	certificate := &x509.Certificate{Raw: []byte("certificate")}
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
	if got := (Proxies)(nil).Of("192.0.2.1:1", nil, state); got.Certificate != nil {
		t.Error("a certificate that nobody verified counts")
	}
	state.VerifiedChains = [][]*x509.Certificate{{certificate}}
	o := (Proxies)(nil).Of("192.0.2.1:1", nil, state)
	if o.Certificate == nil {
		t.Fatal("a verified certificate does not count")
	}
	if got := From(With(context.Background(), o)); got != o {
		t.Errorf("got %v back", got)
	}
}
