package config

import (
	"maps"
	"reflect"
	"slices"

	"kontor.dev/kontor/internal/secret"
)

// keysOf are the keys of the file by the fields of Config, but for tenants, which Differences looks at more closely,
// and for those that are no setting or are taken over by a gateway that runs.
var keysOf = map[string]string{
	"Listen": "listen", "Insecure": "insecure", "TrustedProxies": "trusted_proxies", "PublicURL": "public_url",
	"Store": "store", "StoreKey": "store_key", "TLS": "tls", "CORS": "cors", "Log": "log", "Limits": "limits",
	"Telemetry": "telemetry", "Heartbeat": "heartbeat", "Polling": "polling", "Webhooks": "webhooks",
	"Reflection": "reflection", "Audit": "audit", "Watch": "watch", "Shipments": "shipments", "Shutdown": "shutdown",
	"Reads": "reads",
}

// Differences lists the keys by which another configuration differs from the one that a gateway runs with, in order,
// but for those of clients and oidc. Of a provider, secrets count like all else: it is for who took over those before.
func (c *Config) Differences(other *Config) []string {
	keys := []string{}
	here, there := reflect.ValueOf(*c), reflect.ValueOf(*other)
	for field, key := range keysOf {
		if !alike(here.FieldByName(field), there.FieldByName(field)) {
			keys = append(keys, key)
		}
	}
	for id, tenant := range c.Tenants {
		if now, ok := other.Tenants[id]; ok {
			keys = append(keys, tenant.differences("tenants."+id, now)...)
		} else {
			keys = append(keys, "tenants."+id)
		}
	}
	for id := range maps.Keys(other.Tenants) {
		if _, ok := c.Tenants[id]; !ok {
			keys = append(keys, "tenants."+id)
		}
	}
	slices.Sort(keys)
	return keys
}

func (t Tenant) differences(path string, other Tenant) (keys []string) {
	if !slices.Equal(t.RedirectURIs, other.RedirectURIs) {
		keys = append(keys, path+".redirect_uris")
	}
	id := func(p Provider) string { return p.ID }
	if !slices.EqualFunc(t.Providers, other.Providers, func(a, b Provider) bool { return id(a) == id(b) }) {
		keys = append(keys, path+".providers") // Their order counts, too.
	}
	for _, p := range t.Providers {
		i := slices.IndexFunc(other.Providers, func(o Provider) bool { return id(o) == p.ID })
		if i < 0 {
			continue
		}
		now := other.Providers[i]
		if p.Kind != now.Kind ||
			!alike(reflect.ValueOf(p.Settings.Target()), reflect.ValueOf(now.Settings.Target())) {
			keys = append(keys, path+".providers."+p.ID)
		}
	}
	return keys
}

// alike tells whether two values of one type are equal. Secrets are by their texts.
func alike(a, b reflect.Value) bool {
	if here, ok := reflect.TypeAssert[secret.String](a); ok {
		there, _ := reflect.TypeAssert[secret.String](b)
		return here.Equal(there)
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return alike(a.Elem(), b.Elem())
	case reflect.Struct:
		return alikeStructs(a, b)
	case reflect.Slice:
		return a.Len() == b.Len() && !slices.ContainsFunc(indexes(a.Len()), func(i int) bool {
			return !alike(a.Index(i), b.Index(i))
		})
	case reflect.Map:
		return a.Len() == b.Len() && !slices.ContainsFunc(a.MapKeys(), func(key reflect.Value) bool {
			there := b.MapIndex(key)
			return !there.IsValid() || !alike(a.MapIndex(key), there)
		})
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// alikeStructs compares field by field, unless there are fields that only their package sees.
func alikeStructs(a, b reflect.Value) bool {
	fields := indexes(a.NumField())
	if slices.ContainsFunc(fields, func(i int) bool { return !a.Type().Field(i).IsExported() }) {
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
	return !slices.ContainsFunc(fields, func(i int) bool { return !alike(a.Field(i), b.Field(i)) })
}

// indexes are those of a list of a length.
func indexes(length int) []int {
	all := make([]int, length)
	for i := range all {
		all[i] = i
	}
	return all
}
