package config

import (
	"maps"
	"reflect"
	"slices"

	"kontor.dev/kontor/internal/secret"
)

// keysOf are the keys of the file by the fields of Config, but for tenants, which Differences looks at more closely, and
// for those that are no setting or are taken over by a gateway that runs.
var keysOf = map[string]string{
	"Listen": "listen", "Insecure": "insecure", "TrustedProxies": "trusted_proxies", "PublicURL": "public_url",
	"Store": "store", "StoreKey": "store_key", "TLS": "tls", "CORS": "cors", "Log": "log", "Limits": "limits",
	"Telemetry": "telemetry", "Heartbeat": "heartbeat", "Polling": "polling", "Webhooks": "webhooks",
	"Reflection": "reflection", "Audit": "audit", "Watch": "watch", "Shipments": "shipments", "Shutdown": "shutdown",
}

// Differences lists the keys by which another configuration differs from the one that a gateway runs with, in order, but
// for those of clients and oidc. Of a provider, secrets count like all else: it is for who took over those before.
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
	if text, ok := a.Interface().(secret.String); ok {
		return text.Equal(b.Interface().(secret.String))
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return alike(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !a.Type().Field(i).IsExported() {
				return reflect.DeepEqual(a.Interface(), b.Interface())
			}
		}
		for i := range a.NumField() {
			if !alike(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !alike(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, key := range a.MapKeys() {
			if there := b.MapIndex(key); !there.IsValid() || !alike(a.MapIndex(key), there) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
