package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/redirects"
	"kontor.dev/kontor/internal/secret"
)

// config reads the whole file.
func (p *parser) config(root value, c *Config) {
	root.object(fields{
		"listen":     func(v value) { listen(v, &c.Listen) },
		"insecure":   scalar(&c.Insecure, onOff),
		"public_url": scalar(&c.PublicURL, publicURL),
		"trusted_proxies": func(v value) {
			v.list(func(v value) { c.TrustedProxies = append(c.TrustedProxies, networkOf(v, believable)) })
		},
		"store":     p.storeSecret(&c.Store),
		"store_key": hidden(&c.StoreKey, storeKey),
		"tenants":   func(v value) { c.Tenants = tenants(v) },
		"clients":   func(v value) { c.Clients = clients(v) },
		"tls": func(v value) {
			c.TLS = &TLS{}
			v.object(fields{
				"cert_file": scalar(&c.TLS.CertFile, p.path), "key_file": func(v value) { v.keyFile(&c.TLS.KeyFile) },
				"client_ca_file": scalar(&c.TLS.ClientCAFile, p.path),
				"admin":          scalar(&c.TLS.Admin, onOff),
			}, "cert_file", "key_file")
		},
		"oidc": func(v value) { c.OIDC = issuers(v) },
		"cors": func(v value) {
			v.object(fields{"allowed_origins": func(v value) {
				v.list(func(v value) {
					var allowed string
					scalar(&allowed, origin)(v)
					c.CORS.AllowedOrigins = append(c.CORS.AllowedOrigins, allowed)
				})
			}}, "allowed_origins")
		},
		"log": func(v value) {
			v.object(fields{
				"level": scalar(&c.Log.Level, level), "format": scalar(&c.Log.Format, oneOf("json", "text")),
			})
		},
		"limits": func(v value) { limits(v, &c.Limits) },
		"telemetry": func(v value) {
			v.object(fields{"otlp_endpoint": scalar(&c.Telemetry.OTLPEndpoint, endpoint)})
		},
		"heartbeat": scalar(&c.Heartbeat, duration(100*time.Millisecond, 10*time.Minute)),
		"reads": func(v value) {
			v.object(fields{
				"hold":       scalar(&c.Reads.Hold, duration(0, time.Hour)),
				"hold_bytes": scalar(&c.Reads.HoldBytes, number(1<<20, 1<<30)),
			})
		},
		"polling": func(v value) {
			v.object(fields{
				"min_interval": scalar(&c.Polling.MinInterval, duration(10*time.Millisecond, time.Hour)),
				"max_interval": scalar(&c.Polling.MaxInterval, duration(10*time.Millisecond, 24*time.Hour)),
				// So short only for tests: each consent that stands is read so often.
				"idle_interval": scalar(&c.Polling.IdleInterval, duration(10*time.Millisecond, 90*24*time.Hour)),
			})
			if v.known() && c.Polling.MinInterval > c.Polling.MaxInterval {
				v.problem("min_interval must not be longer than max_interval")
			}
		},
		"webhooks":   scalar(&c.Webhooks, onOff),
		"reflection": scalar(&c.Reflection, onOff),
		"audit": func(v value) {
			v.object(fields{"retention": scalar(&c.Audit.Retention, duration(0, 20*8760*time.Hour))})
		},
		"watch": func(v value) {
			v.object(fields{"retention": scalar(&c.Watch.Retention, duration(0, 20*8760*time.Hour))})
		},
		"shipments": func(v value) {
			v.object(fields{"retention": scalar(&c.Shipments.Retention, duration(0, 20*8760*time.Hour))})
		},
		"shutdown": func(v value) {
			v.object(fields{
				"delay":   scalar(&c.Shutdown.Delay, duration(0, 10*time.Minute)),
				"timeout": scalar(&c.Shutdown.Timeout, duration(0, time.Hour)),
			})
		},
	}, "public_url", "store_key", "tenants", "clients")
	if !root.has("store") {
		if placed, err := p.storeAddress(c.Store.Reveal()); err == nil {
			c.Store = placed
		}
	}
	if check := p.options.Exposed; check != nil && p.dataFolder != "" && check(p.dataFolder) {
		root.find("store").exposed("lies in a folder that")
	}
	p.tenantsOf(root, c, "clients", func(i int) string { return c.Clients[i].Tenant })
	p.tenantsOf(root, c, "oidc", func(i int) string { return c.OIDC[i].Tenant })
	plainText(root, c)
	certificates(root, c)
}

// plainText refuses to let keys and bank data travel readable beyond this machine, unless the operator says that
// something else encrypts them there.
func plainText(root value, c *Config) {
	if c.Insecure || !root.find("insecure").known() || !root.find("tls").known() {
		return
	}
	for key, address := range map[string]string{
		"listen.grpc": c.Listen.GRPC, "listen.http": c.Listen.HTTP, "listen.admin": c.Listen.Admin,
	} {
		host, _, err := net.SplitHostPort(address)
		if err != nil || loopback(host) || c.TLS != nil && (key != "listen.admin" || c.TLS.Admin) {
			continue
		}
		message := "is in plain text beyond this machine: set tls, or insecure: true where a proxy in front encrypts"
		if key == "listen.admin" {
			message = "is in plain text beyond this machine: set tls with admin: true, or insecure: true"
		}
		root.find(key).problem(message)
	}
}

// certificates refuses to bind a client to a certificate that nobody is asked for: its keys would never be taken.
func certificates(root value, c *Config) {
	for i, client := range c.Clients {
		if len(client.Certificates) > 0 && (c.TLS == nil || c.TLS.ClientCAFile == "") && root.find("tls").known() {
			root.find(fmt.Sprintf("clients[%d].certificate", i)).problem("needs tls.client_ca_file")
		}
	}
}

// tenantsOf checks what only shows when both lists are read: a tenant that no client has is fine, a client of no tenant
// is not.
func (p *parser) tenantsOf(root value, c *Config, list string, tenant func(i int) string) {
	if len(c.Tenants) == 0 {
		return // said already
	}
	root.at(list, func(all value) {
		for i, node := range all.items() {
			item := value{parser: p, node: node, path: fmt.Sprintf("%s[%d]", list, i)}
			item.at("tenant", func(v value) {
				if _, ok := c.Tenants[tenant(i)]; !ok && tenant(i) != "" {
					v.problem("there is no such tenant")
				}
			})
		}
	})
}

func listen(v value, l *Listen) {
	v.object(fields{
		"grpc": scalar(&l.GRPC, address), "http": scalar(&l.HTTP, address), "admin": scalar(&l.Admin, address),
	})
	if !v.known() {
		return
	}
	for _, pair := range [][2]string{{l.GRPC, l.HTTP}, {l.GRPC, l.Admin}, {l.HTTP, l.Admin}} {
		if _, port, _ := net.SplitHostPort(pair[0]); pair[0] == pair[1] && port != "0" {
			v.problem("two listeners have the same address")
			return
		}
	}
}

func tenants(v value) map[string]Tenant {
	all := map[string]Tenant{}
	if v.each(func(id string, v value) {
		if !plainID.MatchString(id) {
			v.problem(badID)
		}
		all[id] = tenant(v)
	}) && len(all) == 0 {
		v.problem("must have at least one tenant")
	}
	return all
}

func tenant(v value) Tenant {
	var t Tenant
	v.object(fields{
		"redirect_uris": func(v value) {
			v.list(func(v value) {
				var uri string
				scalar(&uri, redirectURI)(v)
				t.RedirectURIs = append(t.RedirectURIs, uri)
			})
		},
		"providers": func(v value) { t.Providers = v.providers() },
	}, "redirect_uris", "providers")
	return t
}

func clients(v value) []Client {
	var all []Client
	ids, keys := map[string]bool{}, map[[sha256.Size]byte]bool{}
	v.list(func(v value) {
		var c Client
		key := func(v value) {
			hash, ok := hashOf(v, keyHash)
			if !ok || !v.known() {
				return
			}
			if keys[hash] {
				v.problem("this key appears twice")
			}
			keys[hash] = true
			c.Keys = append(c.Keys, hash)
		}
		v.object(fields{
			"id":         scalar(&c.ID, id),
			"tenant":     scalar(&c.Tenant, id),
			"key_sha256": func(v value) { v.oneOrList(key) },
			"scopes": func(v value) {
				v.list(func(v value) {
					var scope string
					scalar(&scope, oneOf(Scopes()...))(v)
					c.Scopes = append(c.Scopes, scope)
				})
			},
			"expire": scalar(&c.Expires, endOfDay),
			"addresses": func(v value) {
				v.list(func(v value) { c.Addresses = append(c.Addresses, networkOf(v, network)) })
			},
			"certificate": func(v value) {
				v.oneOrList(func(v value) {
					if hash, ok := hashOf(v, certificateHash); ok {
						c.Certificates = append(c.Certificates, hash)
					}
				})
			},
		}, "id", "tenant", "key_sha256", "scopes")
		if c.ID != "" && ids[c.ID] {
			v.at("id", func(v value) { v.problem("another client has this id") })
		}
		ids[c.ID] = true
		all = append(all, c)
	})
	return all
}

// issuers reads who issues tokens.
func issuers(v value) []OIDC {
	var all []OIDC
	seen := map[string]bool{}
	v.list(func(v value) {
		o := OIDC{
			ScopesClaim: DefaultScopesClaim, ClientIDClaim: DefaultClientIDClaim, MaxLifetime: DefaultMaxLifetime,
		}
		before := len(v.parser.problems)
		v.object(fields{
			"issuer":          scalar(&o.Issuer, issuer),
			"audience":        scalar(&o.Audience, word),
			"tenant":          scalar(&o.Tenant, id),
			"tenant_claim":    scalar(&o.TenantClaim, word),
			"scopes_claim":    scalar(&o.ScopesClaim, word),
			"client_id_claim": scalar(&o.ClientIDClaim, word),
			"scopes": func(v value) {
				v.list(func(v value) {
					var scope string
					scalar(&scope, oneOf(Scopes()...))(v)
					o.Scopes = append(o.Scopes, scope)
				})
			},
			"max_lifetime": scalar(&o.MaxLifetime, duration(time.Minute, 24*time.Hour)),
		}, "issuer", "audience")
		if len(v.parser.problems) == before && v.known() && (o.Tenant == "") == (o.TenantClaim == "") {
			v.problem("must have either tenant or tenant_claim")
		}
		if o.Issuer != "" && seen[o.Issuer] {
			v.at("issuer", func(v value) { v.problem("this issuer appears twice") })
		}
		seen[o.Issuer] = true
		all = append(all, o)
	})
	return all
}

func limits(v value, l *Limits) {
	v.object(fields{
		"requests_per_second":         scalar(&l.RequestsPerSecond, number(1, 1_000_000)),
		"burst":                       scalar(&l.Burst, number(1, 1_000_000)),
		"max_in_flight":               scalar(&l.MaxInFlight, number(1, 1_000_000)),
		"max_streams":                 scalar(&l.MaxStreams, number(1, 1_000_000)),
		"max_request_bytes":           scalar(&l.MaxRequestBytes, number(1<<10, 1<<30)),
		"max_body_bytes":              scalar(&l.MaxBodyBytes, number(1<<10, 1<<30)),
		"max_connections":             scalar(&l.MaxConnections, number(1, 1_000_000)),
		"max_connections_per_address": scalar(&l.MaxConnectionsPerAddress, number(1, 1_000_000)),
		"timeout":                     scalar(&l.Timeout, duration(time.Second, time.Hour)),
		"connection_age":              scalar(&l.ConnectionAge, duration(0, 30*24*time.Hour)),
		"connection_age_grace":        scalar(&l.ConnectionAgeGrace, duration(time.Second, 24*time.Hour)),
	})
	if l.MaxBodyBytes < 2*l.MaxRequestBytes {
		small := func(v value) {
			v.problem("max_body_bytes must be at least twice max_request_bytes, or a client's share holds no request")
		}
		before := len(v.parser.problems)
		if v.at("max_body_bytes", small); len(v.parser.problems) == before {
			v.at("max_request_bytes", small)
		}
	}
}

var plainID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

const badID = "must be made of small letters, digits and hyphens, at most 63"

func word(text string) (string, error) { return text, nil }

func secretText(text string) (secret.String, error) { return secret.New(text), nil }

func id(text string) (string, error) {
	if !plainID.MatchString(text) {
		return "", errors.New(badID)
	}
	return text, nil
}

func onOff(text string) (bool, error) {
	switch text {
	case "true", "on":
		return true, nil
	case "false", "off":
		return false, nil
	}
	return false, errors.New("must be true or false")
}

func level(text string) (slog.Level, error) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	l, ok := levels[text]
	if !ok {
		return 0, errors.New("must be one of: debug, info, warn, error")
	}
	return l, nil
}

func duration(low, high time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < low || d > high {
			return 0, fmt.Errorf("must be a duration with its unit, such as 15s, from %s to %s", low, high)
		}
		return d, nil
	}
}

func address(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsAny(host, " /") {
		return "", errors.New("must be an address with a port, such as 127.0.0.1:8080")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", errors.New("the port must be a number from 0 to 65535")
	}
	return text, nil
}

// storeAddress leaves it to who opens stores what an address may be, and what in it is a path.
func (p *parser) storeAddress(text string) (secret.String, error) {
	if p.options.Store != nil {
		placed, folder, err := p.options.Store(text, p.options.Folder)
		if err != nil {
			return secret.String{}, err
		}
		text, p.dataFolder = placed, folder
	}
	return secret.New(text), nil
}

func storeKey(text string) (secret.String, error) {
	key := secret.New(text)
	_, err := keys.Parse(key)
	return key, err
}

// webURL parses an absolute http or https address without credentials.
func webURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil ||
		u.Fragment != "" || u.Opaque != "" {
		return nil, false
	}
	return u, true
}

func publicURL(text string) (string, error) {
	u, ok := webURL(text)
	if !ok || u.RawQuery != "" || strings.ContainsAny(text, "?#") {
		return "", errors.New("must be an http(s) address without credentials, query or fragment")
	}
	return strings.TrimRight(text, "/"), nil
}

// issuer demands https, since keys come from there. It is compared with tokens letter by letter, so nothing of it is
// changed.
func issuer(text string) (string, error) {
	u, ok := webURL(text)
	if !ok || u.RawQuery != "" || strings.ContainsAny(text, "?#") {
		return "", errors.New("must be an https address without credentials, query or fragment")
	}
	if u.Scheme != "https" && !loopback(u.Hostname()) {
		return "", errors.New("must be https, except on this machine")
	}
	return text, nil
}

// origin demands what browsers send as Origin, which is compared letter by letter.
func origin(text string) (string, error) {
	u, ok := webURL(text)
	if !ok || u.Scheme+"://"+u.Host != text || text != strings.ToLower(text) || strings.Contains(u.Host, "*") {
		return "",
			errors.New("must be an origin in small letters, such as https://app.example.com: scheme, host and port, " +
				"without a path")
	}
	return text, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func endpoint(text string) (string, error) {
	u, ok := webURL(text)
	if !ok || u.RawQuery != "" {
		return "", errors.New("must be an address such as http://collector:4317")
	}
	return text, nil
}

func redirectURI(text string) (string, error) {
	_, err := redirects.NewList([]string{text})
	return text, err
}

func keyHash(text string) (hash [sha256.Size]byte, err error) {
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) != len(hash) {
		return hash,
			errors.New("must be the SHA-256 of a key in 64 hexadecimal digits, as `gateway keys new` prints it")
	}
	if slices.Equal(decoded, emptyHash[:]) {
		return hash, errors.New("is the hash of an empty key")
	}
	if slices.Equal(decoded, hash[:]) {
		return hash, errors.New("is the example's, which stands for none: `gateway keys new` makes a key")
	}
	copy(hash[:], decoded)
	return hash, nil
}

var emptyHash = sha256.Sum256(nil)

// certificateHash takes what tools print as a certificate's SHA-256 fingerprint, with colons or without.
func certificateHash(text string) (hash [sha256.Size]byte, err error) {
	decoded, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(decoded) != len(hash) || slices.Equal(decoded, hash[:]) {
		return hash, errors.New("must be the SHA-256 of a certificate (DER) in 64 hexadecimal digits")
	}
	copy(hash[:], decoded)
	return hash, nil
}

// hashOf reads a hash, and tells whether it is one.
func hashOf(
	v value, parse func(string) ([sha256.Size]byte, error),
) (hash [sha256.Size]byte, ok bool) {
	before := len(v.parser.problems)
	scalar(&hash, parse)(v)
	return hash, len(v.parser.problems) == before
}

// endOfDay reads a date and gives the moment at which it is over.
func endOfDay(text string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, errors.New("must be a date such as 2027-06-30, the last day on which the key is taken")
	}
	return day.AddDate(0, 0, 1), nil
}

func networkOf(v value, parse func(string) (netip.Prefix, error)) (read netip.Prefix) {
	scalar(&read, parse)(v)
	return read
}

// network reads a network, or one address. IPv4 that is written as IPv6 counts as IPv4, as it does with callers.
func network(text string) (netip.Prefix, error) {
	fault := errors.New("must be a network such as 10.1.0.0/16 or 2001:db8::/32, or one address")
	read, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, fault
		}
		read = netip.PrefixFrom(address, address.BitLen())
	}
	if mapped := 128 - 32; read.Addr().Is4In6() {
		if read.Bits() < mapped {
			return netip.Prefix{}, fault
		}
		read = netip.PrefixFrom(read.Addr().Unmap(), read.Bits()-mapped)
	}
	if read.Masked() != read {
		return netip.Prefix{}, errors.New("has bits beyond its length: 10.1.0.0/16, not 10.1.2.3/16")
	}
	return read, nil
}

// believable refuses the network of everybody: then everybody could say where they call from.
func believable(text string) (netip.Prefix, error) {
	read, err := network(text)
	if err == nil && read.Bits() == 0 {
		return netip.Prefix{}, errors.New("must not be everybody")
	}
	return read, err
}
