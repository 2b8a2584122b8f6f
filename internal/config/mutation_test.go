package config_test

import (
	"fmt"
	"strings"
	"testing"
)

// mutation is one way to spoil the full configuration.
type mutation struct {
	name, text string
	// path must be named; line must be the problem's.
	path string
	line int
}

// keysOf finds every key of the full configuration with its path, by indentation.
func keysOf(text string) (found []mutation) {
	var stack []string
	var indents []int
	item := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body)
		listItem := strings.HasPrefix(body, "- ")
		body = strings.TrimPrefix(body, "- ")
		key, rest, ok := strings.Cut(body, ":")
		for len(indents) > 0 && indents[len(indents)-1] >= indent {
			stack, indents = stack[:len(stack)-1], indents[:len(indents)-1]
		}
		if !ok || rest != "" && rest[0] != ' ' || strings.ContainsAny(key, "/{[ ") {
			continue // an address, not a key
		}
		if listItem {
			parent := strings.Join(stack, ".")
			stack, indents = append(stack, fmt.Sprintf("[%d]", item[parent])), append(indents, indent)
			item[parent]++
			indent += 2
		}
		stack, indents = append(stack, key), append(indents, indent)
		path := strings.ReplaceAll(strings.Join(stack, "."), ".[", "[")
		found = append(found, mutation{name: key, path: path, line: i + 1})
	}
	return found
}

func mutations(text string) (all []mutation) {
	lines := strings.Split(text, "\n")
	with := func(i int, replacement ...string) string {
		return strings.Join(append(append(append([]string{}, lines[:i]...), replacement...), lines[i+1:]...), "\n")
	}
	parentOf := func(path string) string {
		if i := strings.LastIndexAny(path, ".["); i >= 0 {
			return path[:i]
		}
		return ""
	}
	sibling := func(path, key string) string {
		if i := strings.LastIndex(path, "."); i >= 0 {
			return path[:i+1] + key
		}
		return key
	}
	for _, m := range keysOf(text) {
		i, line := m.line-1, lines[m.line-1]
		open := strings.ContainsAny(m.path,
			".") && (parentOf(m.path) == "tenants" || strings.HasSuffix(parentOf(m.path),
			"operations") || strings.HasSuffix(parentOf(m.path), "extra") || strings.Contains(line, "kind:"))
		if !open {
			all = append(all,
				mutation{
					"unknown " + m.path, with(i, strings.Replace(line, m.name+":", m.name+"x:", 1)),
					sibling(m.path, m.name+"x"), m.line,
				})
		}
		if strings.HasSuffix(line, ":") || strings.HasSuffix(line, "}") {
			continue // has more keys in it
		}
		head := line[:strings.Index(line, m.name+":")+len(m.name)+1]
		all = append(all,
			mutation{"null " + m.path, with(i, head), m.path, m.line},
			mutation{"empty " + m.path, with(i, head+` ""`), m.path, m.line},
			mutation{"mapping " + m.path, with(i, head+" {canary: canary}"), m.path, m.line},
			mutation{"unset " + m.path, with(i, head+` "${env:canary}"`), m.path, m.line},
			mutation{"bad reference " + m.path, with(i, head+` "${canary}"`), m.path, m.line},
			mutation{"open reference " + m.path, with(i, head+` "${env:canary"`), m.path, m.line},
			mutation{"unreadable " + m.path, with(i, head+` "${file:/canary}"`), m.path, m.line},
			mutation{
				"twice " + m.path, with(i, line, strings.Repeat(" ", len(head)-len(m.name)-1)+m.name+": canary"),
				m.path, m.line + 1,
			},
		)
	}
	return all
}

// badValues are values that only this key refuses.
func badValues(text string) (all []mutation) {
	add := func(old, replacement, path string) {
		before, _, _ := strings.Cut(text, old)
		line := strings.Count(before, "\n") + 1
		all = append(all, mutation{replacement, strings.Replace(text, old, replacement, 1), path, line})
	}
	for _, bad := range []string{
		"127.0.0.1", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:080", "a b:1", "http://canary:1/",
		"1:2:3",
	} {
		add("grpc: 127.0.0.1:0", "grpc: "+bad, "listen.grpc")
		add("admin: :8081", "admin: "+bad, "listen.admin")
	}
	for _, bad := range []string{
		"kontor.example.com", "ftp://canary", "https://u:canary@host", "https://h?q=canary", "https://h/#canary",
		"https://", "https://h?", "'%zz://'",
	} {
		add("public_url: https://kontor.example.com/base/", "public_url: "+bad, "public_url")
		add("base_url: https://north.example.com/api/", "base_url: "+bad, "tenants.default.providers.north.base_url")
	}
	add("base_url: http://127.0.0.1:9999/api/v1", "base_url: http://canary.example/api",
		"tenants.default.providers.south.base_url")
	for _, bad := range []string{
		"kontor.db", "'sqlite:'", "sqlite://canary", "mysql://canary", "postgres://u:canary@h/db",
		"postgresql://u:canary@h/db",
	} {
		add("store: sqlite:/var/lib/kontor/kontor.db", "store: "+bad, "store")
	}
	for _, bad := range []string{"canary", "${env:SUFFIX}", "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"} {
		add("store_key: ${env:STORE_KEY}", "store_key: "+bad, "store_key")
	}
	for _, bad := range []string{
		"/relative", "javascript:canary()", "https://*.example.com/", "https://a.example/*/b",
		"https://u:canary@a.example/", "https://a.example/?canary",
	} {
		add("- https://app.example.com/*", "- "+bad, "tenants.default.redirect_uris[0]")
	}
	for _, bad := range []string{"/auth/login", "post /auth", "POST auth", "POST /a?canary", "POST /a b"} {
		add("login: POST /auth/login2", "login: "+bad, "tenants.default.providers.north.operations.login")
	}
	add("login: POST /auth/login2", "logout: POST /auth/logout", "tenants.default.providers.north.operations.logout")
	add("login: POST /auth/login2", "read: GET /read/{canary}", "tenants.default.providers.north.operations.read")
	add("bank: 62a1f0c7", `bank: "canary "`, "tenants.default.providers.north.bank")
	add("version: 2020-06-16", "version: canary", "tenants.default.providers.south.version")
	add("colour: green", "colour: canary", "tenants.default.providers.south.colour")
	add("wait: 90s", "wait: 90", "tenants.default.providers.south.wait")
	add("reads: 4", "reads: four", "tenants.default.providers.south.reads")
	add("reads: 4", "reads: 101", "tenants.default.providers.south.reads")
	add("fast: true", "fast: canary", "tenants.default.providers.south.fast")
	add("- two", "- canary-canary", "tenants.default.providers.south.tags[1]")
	add("sv: fi", "sv: canary", "tenants.default.providers.south.extra.sv")
	add("kind: south, name", "kind: canary, name", "tenants.other.providers.south-two.kind")
	add("south-two: {kind: south, ", "south-two: {", "tenants.other.providers.south-two")
	add("south-two: {kind: south", "South Two: {kind: south", "tenants.other.providers.(key)")
	add("idle_interval: 6h", "idle_interval: 1ms", "polling.idle_interval")
	for _, bad := range []string{"Lending", "a b", "-a", "a_b"} {
		add("id: lending", "id: "+bad, "clients[0].id")
	}
	add("id: ops", "id: lending", "clients[1].id")
	add("tenant: other", "tenant: nobody", "clients[1].tenant")
	hash := "key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for _, bad := range []string{
		"9f86", "canary", hash[12:] + "00", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "[]",
	} {
		add(hash, "key_sha256: "+bad, "clients[0].key_sha256")
	}
	add("- 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
		"- 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "clients[1].key_sha256[0]")
	for _, bad := range []string{"2027-6-30", "2027-06-31", "30.06.2027", "2027-06-30T00:00:00Z", "canary", "never"} {
		add("expire: 2027-06-30", "expire: "+bad, "clients[0].expire")
	}
	for _, bad := range []string{
		"10.1.0.0/33", "10.1.2.3/16", "10.1", "canary", "fe80::1%eth0", "::ffff:10.1.0.0/16", "10.1.0.0/16,10.2.0.0/16",
	} {
		add(`addresses: ["10.1.0.0/16"`, `addresses: ["`+bad+`"`, "clients[0].addresses[0]")
		add(`trusted_proxies: ["10.0.0.0/8"`, `trusted_proxies: ["`+bad+`"`, "trusted_proxies[0]")
	}
	add(`trusted_proxies: ["10.0.0.0/8"`, `trusted_proxies: ["0.0.0.0/0"`, "trusted_proxies[0]")
	add(`trusted_proxies: ["10.0.0.0/8"`, `trusted_proxies: ["::/0"`, "trusted_proxies[0]")
	for _, bad := range []string{"canary", "E3:B0:C4", strings.Repeat("00", 32)} {
		add("certificate: E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4:64:9B:93:4C:A4:95:99:1B:78:52:B8:55",
			"certificate: \""+bad+"\"", "clients[0].certificate")
	}
	add(hash, "key_sha256: \""+strings.Repeat("0", 64)+"\"", "clients[0].key_sha256") // the example's
	add("insecure: true", "insecure: 1", "insecure")
	add("max_lifetime: 15m", "max_lifetime: 1s", "oidc[1].max_lifetime")
	add("max_lifetime: 15m", "max_lifetime: 25h", "oidc[1].max_lifetime")
	add("scopes: [consents.read]", "scopes: [consents.delete]", "oidc[1].scopes[0]")
	for _, bad := range []string{
		"https://app.example.com/a;b/*", "https://app.example.com/a/../*", "https://2130706433/*",
	} {
		add("- https://app.example.com/*", "- "+bad, "tenants.default.redirect_uris[0]")
	}
	for _, bad := range []string{"consents", "consents.delete", "Consents.read", "consent.read", "consents.*"} {
		add("scopes: [consents.write, banking.read]", "scopes: [banking.read, "+bad+"]", "clients[0].scopes[1]")
	}
	add("scopes: [consents.write, banking.read]", "scopes: []", "clients[0].scopes")
	add("scopes: [consents.write, banking.read]", "scopes: consents.write", "clients[0].scopes")
	for _, bad := range []string{
		"login.example.com", "http://login.example.com", "https://u:canary@h", "https://h?canary", "https://h/#canary",
		"ftp://canary",
	} {
		add("issuer: https://login.example.com/realms/a", "issuer: "+bad, "oidc[0].issuer")
	}
	add("issuer: http://127.0.0.1:9998", "issuer: https://login.example.com/realms/a", "oidc[1].issuer")
	add("    tenant: default\n  - issuer", "    tenant: nobody\n  - issuer", "oidc[0].tenant")
	for _, bad := range []string{
		"app.example.com", "https://app.example.com/", "https://app.example.com/canary", "https://*.example.com", "'*'",
		"'null'", "https://App.example.com", "https://u:canary@h",
	} {
		add("- https://app.example.com\n    - http://localhost:3000", "- "+bad+"\n    - http://localhost:3000",
			"cors.allowed_origins[0]")
	}
	add("level: debug", "level: trace", "log.level")
	add("format: text", "format: xml", "log.format")
	for _, bad := range []string{"0", "-1", "1.5", "many", "99999999"} {
		add("requests_per_second: 10", "requests_per_second: "+bad, "limits.requests_per_second")
		add("max_streams: 40", "max_streams: "+bad, "limits.max_streams")
		add("max_connections: 50", "max_connections: "+bad, "limits.max_connections")
		add("max_connections_per_address: 5", "max_connections_per_address: "+bad,
			"limits.max_connections_per_address")
	}
	add("max_request_bytes: 1048576", "max_request_bytes: 10", "limits.max_request_bytes")
	add("max_body_bytes: 4194304", "max_body_bytes: 10", "limits.max_body_bytes")
	add("max_body_bytes: 4194304", "max_body_bytes: 2097151", "limits.max_body_bytes")
	for _, bad := range []string{"5", "5 s", "-5s", "1h", "soon"} {
		add("heartbeat: 5s", "heartbeat: "+bad, "heartbeat")
	}
	for _, bad := range []string{"90", "-5s", "2h", "soon"} {
		add("hold: 90s", "hold: "+bad, "reads.hold")
	}
	add("hold_bytes: 33554432", "hold_bytes: 10", "reads.hold_bytes")
	add("timeout: 30s", "timeout: 0s", "limits.timeout")
	add("connection_age: 10m", "connection_age: -1s", "limits.connection_age")
	add("min_interval: 1s", "min_interval: 5", "polling.min_interval")
	add("otlp_endpoint: http://collector:4317", "otlp_endpoint: collector", "telemetry.otlp_endpoint")
	add("webhooks: off", "webhooks: maybe", "webhooks")
	add("reflection: true", "reflection: 0", "reflection")
	add("delay: 2s", "delay: 2", "shutdown.delay")
	for _, bad := range []string{"90", "90d", "-1h", "175201h"} {
		add("retention: 2160h", "retention: "+bad, "audit.retention")
		add("retention: 48h", "retention: "+bad, "watch.retention")
	}
	return all
}

// TestMutations spoils the configuration in more than a hundred ways. Each must be found, at its key and line, and no
// value shown.
func TestMutations(t *testing.T) {
	text := full(t)
	all := append(mutations(text), badValues(text)...)
	if len(all) < 100 {
		t.Fatalf("only %d mutations", len(all))
	}
	t.Logf("%d mutations", len(all))
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			if m.text == text {
				t.Fatal("nothing was changed")
			}
			_, problems := parse(m.text)
			if len(problems) == 0 {
				t.Fatal("not found")
			}
			named := false
			for _, p := range problems {
				named = named || p.Path == m.path && p.Line == m.line
			}
			if !named {
				t.Errorf("want %s in line %d, got\n%s", m.path, m.line, problems)
			}
			if strings.Contains(problems.Error(), "canary") {
				t.Errorf("a value is shown:\n%s", problems)
			}
		})
	}
}

// TestMissing takes away what must be there.
func TestMissing(t *testing.T) {
	text := full(t)
	lines := strings.Split(text, "\n")
	missing := map[string]bool{}
	for _, m := range keysOf(text) {
		i := m.line - 1
		end := i + 1
		indent := len(lines[i]) - len(strings.TrimLeft(lines[i], " "))
		for end < len(lines) && len(lines[end])-len(strings.TrimLeft(lines[end], " ")) > indent {
			end++
		}
		if strings.Contains(lines[i], "- ") || strings.Contains(m.path, "key_sha256[") {
			continue // the first key of an item: the hyphen would go with it
		}
		without := strings.Join(append(append([]string{}, lines[:i]...), lines[end:]...), "\n")
		_, problems := parse(without)
		for _, p := range problems {
			if p.Message == "is missing" && p.Path == m.path {
				missing[m.path] = true
			}
		}
	}
	for _, path := range []string{
		"public_url", "store_key", "tenants", "clients", "tenants.default.redirect_uris", "tenants.default.providers",
		"tenants.default.providers.north.base_url", "tenants.default.providers.north.username",
		"tenants.default.providers.north.password",
		"tenants.default.providers.south.name", "tenants.default.providers.south.secret",
		"tenants.default.providers.south.identity.cert_file",
		"tenants.default.providers.south.identity.key_file", "clients[0].tenant", "clients[0].key_sha256",
		"clients[0].scopes", "oidc[0].audience", "oidc[1].audience", "tls.cert_file", "tls.key_file",
	} {
		if !missing[path] {
			t.Errorf("nothing says that %s is missing", path)
		}
		delete(missing, path)
	}
	for path := range missing {
		if strings.HasPrefix(path, "tenants.other.") || strings.HasPrefix(path, "clients[1].") {
			delete(missing, path) // as for the first
		}
	}
	if len(missing) > 0 {
		t.Errorf("said to be missing, and need not be there: %v", missing)
	}
}

func TestShapes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "kontor.yaml: is empty"},
		"comment only":  {"# nothing\n", "kontor.yaml: is empty"},
		"no mapping":    {"canary", "kontor.yaml:1: must be a mapping of keys to values"},
		"syntax":        {"listen: {\npublic_url: [canary", "kontor.yaml:1: is not valid YAML"},
		"tab":           {"listen:\n\tgrpc: canary", "kontor.yaml:2: is not valid YAML"},
		"anchor":        {"listen: *canary", "kontor.yaml: is not valid YAML"},
		"two documents": {least + "---\n" + least, "a second document begins"},
		"merge key": {
			least + "log: &l {level: info}\nlimits: {<<: *l}\n", "limits: has a key that is not a plain word",
		},
		"odd key":      {least + "log: {[canary]: 1}\n", "log: has a key that is not a plain word"},
		"value as key": {least + "log: {'canary secret': 1}\n", "log.(key): there is no such key"},
		"no tenants": {
			strings.Replace(least,
				"{t: {redirect_uris: [\"https://a.example\"], providers: {south: {name: n, secret: s}}}}", "{}", 1),
			"tenants: must have at least one tenant",
		},
		"no provider": {
			strings.Replace(least, "{south: {name: n, secret: s}}", "{}", 1),
			"tenants.t.providers: must have at least one provider",
		},
		"no kind": {
			strings.Replace(least, "{south:", "{canary-bank:", 1),
			"providers.canary-bank: is no kind of provider, so that it needs a key kind, one of: north, south",
		},
		"wrong kind": {
			strings.Replace(least, "{south: {", "{bank: {kind: canary, ", 1),
			"tenants.t.providers.bank.kind: must be one of: north, south",
		},
		"whole block": {
			strings.Replace(least, "secret: s", "secret: s, fast: true, reads: 101", 1),
			"tenants.t.providers.south: is too fast",
		},
		"block's shape": {
			strings.Replace(least, "{name: n, secret: s}", "[canary]", 1),
			"kontor.yaml:2: tenants.t.providers.south: must be a mapping of keys to values",
		},
		"no block": {
			strings.Replace(least, "{name: n, secret: s}", "", 1),
			"kontor.yaml:2: tenants.t.providers.south: has no value",
		},
		"no names": {
			strings.Replace(least, "secret: s", "secret: s, identity: [canary]", 1),
			"tenants.t.providers.south.identity: must be a mapping of keys to values",
		},
		"tenant's name": {strings.Replace(least, "{t: {", "{T: {", 1), "tenants.T: must be made of small letters"},
		"same ports": {
			least + "listen: {grpc: ':1', http: ':2', admin: ':1'}\n", "listen: two listeners have the same address",
		},
		"a certificate nobody is asked for": {
			strings.Replace(least, "tenant: t, ", "tenant: t, certificate: "+strings.Repeat("ab", 32)+", ", 1),
			"kontor.yaml:3: clients[0].certificate: needs tls.client_ca_file",
		},
		"plain text to all": {
			least + "listen: {grpc: ':1'}\n",
			"kontor.yaml:5: listen.grpc: is in plain text beyond this machine: set tls, or insecure: true",
		},
		"plain text to a network": {
			least + "listen: {http: '192.0.2.1:1'}\n", "kontor.yaml:5: listen.http: is in plain text beyond",
		},
		"plain text to a name": {
			least + "listen: {http: 'kontor.example.com:1'}\n", "kontor.yaml:5: listen.http: is in plain text beyond",
		},
		"plain text to all, in IPv6": {
			least + "listen: {http: '[::]:1'}\n", "kontor.yaml:5: listen.http: is in plain text beyond",
		},
		"plain text of metrics": {
			least + "listen: {admin: ':1'}\n", "kontor.yaml:5: listen.admin: is in plain text beyond",
		},
		"metrics beside TLS": {
			least + "listen: {admin: ':1', grpc: ':2', http: ':3'}\ntls: {cert_file: a, key_file: b}\n",
			"kontor.yaml:5: listen.admin: is in plain text beyond this machine: set tls with admin: true",
		},
		"two tenants": {
			least + "oidc: [{issuer: 'https://h', audience: a, tenant: t, tenant_claim: c}]\n",
			"oidc[0]: must have either tenant or tenant_claim",
		},
		"no tenant": {
			least + "oidc: [{issuer: 'https://h', audience: a}]\n", "oidc[0]: must have either tenant or tenant_claim",
		},
		"intervals": {
			least + "polling: {min_interval: 2s, max_interval: 1s}\n", "polling: min_interval must not be longer",
		},
		"empty secret": {
			strings.Replace(least, "secret: s", `secret: "${env:EMPTY}"`, 1),
			"tenants.t.providers.south.secret: must not be empty",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := parse(c.text)
			if strings.Contains(name, "block") && strings.Contains(problems.Error(), "missing") {
				t.Errorf("a block that cannot be read lacks keys:\n%s", problems)
			}
			if !strings.Contains(problems.Error(),
				c.want) || strings.Contains(strings.ReplaceAll(problems.Error(), "canary-bank", ""), "canary") {
				t.Errorf("got\n%s", problems)
			}
		})
	}
	for name, more := range map[string]string{
		"on this machine":   "listen: {grpc: '127.0.0.2:1', http: 'localhost:2', admin: '[::1]:3'}\n",
		"behind a proxy":    "listen: {grpc: ':1', http: ':2', admin: ':3'}\ninsecure: true\n",
		"in TLS":            "listen: {grpc: ':1', http: ':2'}\ntls: {cert_file: a, key_file: b}\n",
		"with admin in TLS": "listen: {grpc: ':1', http: ':2', admin: ':3'}\ntls: {cert_file: a, key_file: b, admin: true}\n",
	} {
		if _, problems := parse(least + more); len(problems) > 0 {
			t.Errorf("listening %s: %v", name, problems)
		}
	}
	// An alias stands for what it names.
	aliased := strings.Replace(least, `redirect_uris: ["https://a.example"]`,
		`redirect_uris: &uris ["https://a.example"]`, 1)
	aliased = strings.Replace(aliased, "secret: s}}}}",
		"secret: s}}}, u: {redirect_uris: *uris, providers: {south: {name: n, secret: s}}}}", 1)
	c, problems := parse(aliased)
	if len(problems) > 0 || c.Tenants["u"].RedirectURIs[0] != "https://a.example" {
		t.Errorf("an alias is not followed: %v", problems)
	}
}
